// Following the events that a build writes, a line each.
using System;
using System.IO;
using System.Text;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Reads what was appended to a file since the last look. A line that is not finished waits for its end.</summary>
    internal sealed class EventsFile
    {
        /// <summary>Most that one look reads: the first line names every picture, in some 100 bytes each.</summary>
        private const int BytesMax = 1 << 20;

        private readonly string path;
        private long at;
        private bool skipping;

        internal EventsFile(string path)
        {
            this.path = path;
        }

        /// <summary>Hands out every event since the last look; whether there were any.</summary>
        internal bool Read(Action<EventJson> heard)
        {
            try
            {
                using (var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
                {
                    if (stream.Length <= at)
                    {
                        // A build that was asked again of another sidecar begins the file anew.
                        at = stream.Length < at ? 0 : at;
                        return false;
                    }
                    stream.Seek(at, SeekOrigin.Begin);
                    byte[] bytes = new byte[Math.Min(BytesMax, stream.Length - at)];
                    int count = stream.Read(bytes, 0, bytes.Length);
                    int end = Array.LastIndexOf(bytes, (byte)'\n', Math.Max(0, count - 1));
                    if (end < 0)
                    {
                        // A line longer than one look: the list of a very large build. Rows come from its report then.
                        skipping |= count == BytesMax;
                        at += skipping ? count : 0;
                        return skipping;
                    }
                    at += end + 1;
                    Split(Encoding.UTF8.GetString(bytes, 0, end), heard);
                    return true;
                }
            }
            catch (IOException)
            {
                return false; // Not there yet, or being replaced.
            }
        }

        private void Split(string text, Action<EventJson> heard)
        {
            string[] lines = text.Split('\n');
            for (int line = skipping ? 1 : 0; line < lines.Length; line++)
            {
                EventJson said = Parsed(lines[line]);
                if (said != null)
                {
                    heard(said);
                }
            }
            skipping = false;
        }

        /// <summary>
        /// An event, or null for half a line: a sidecar that goes on for a dead one begins the file anew, and may have written
        /// more than there was before anybody looked.
        /// </summary>
        private static EventJson Parsed(string line)
        {
            try
            {
                return JsonUtility.FromJson<EventJson>(line);
            }
            catch (ArgumentException)
            {
                return null;
            }
        }
    }
}
