// Pictures of the rows that are on screen: asked for when a row shows up, kept within a bound, destroyed when they go.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Textures by file, size and time of writing. A texture that somebody shows is never taken away; those that nobody
    /// shows stay up to a number of bytes, oldest first out, so that scrolling back costs nothing.
    /// </summary>
    internal sealed class PreviewCache : IDisposable
    {
        /// <summary>About 700 thumbnails of 96 pixels, or 16 large previews.</summary>
        internal const long IdleBytesMax = 26L << 20;

        /// <summary>
        /// Few at once: the sidecar answers in milliseconds, and rows that scroll past are never asked for.
        /// </summary>
        internal const int FlightMax = 6;

        private const int BytesPerPixel = 4;

        private readonly Action<string, int, Action<Texture2D>> request;
        private readonly long idleBytesMax;
        private readonly Dictionary<Key, Entry> entries = new Dictionary<Key, Entry>();
        private readonly LinkedList<Entry> waiting = new LinkedList<Entry>();
        private readonly LinkedList<Entry> idle = new LinkedList<Entry>();
        private long idleBytes;
        private int inFlight;
        private bool disposed;

        /// <param name="request">Asks for a texture, which is the cache's own from then on.</param>
        /// <param name="idleBytesMax">Bytes of textures that nobody shows.</param>
        internal PreviewCache(Action<string, int, Action<Texture2D>> request, long idleBytesMax = IdleBytesMax)
        {
            this.request = request;
            this.idleBytesMax = idleBytesMax;
        }

        internal int Count
        {
            get { return entries.Count; }
        }

        internal long IdleBytes
        {
            get { return idleBytes; }
        }

        internal int InFlight
        {
            get { return inFlight; }
        }

        /// <summary>Whether a file was written since, which the path alone does not tell.</summary>
        internal static Key KeyOf(string file, int sideMax)
        {
            return new Key(file, sideMax, File.GetLastWriteTimeUtc(file).Ticks);
        }

        /// <summary>Takes hold of a preview; <see cref="Return"/> lets go of it.</summary>
        internal Entry Take(Key key, Action<Texture2D> ready)
        {
            Entry entry;
            if (!entries.TryGetValue(key, out entry))
            {
                entry = new Entry(key);
                entries.Add(key, entry);
                entry.Place = waiting.AddLast(entry);
            }
            else if (entry.Users == 0 && entry.Settled)
            {
                idle.Remove(entry.Place);
                idleBytes -= entry.Bytes;
            }
            entry.Users++;
            if (entry.Settled)
            {
                ready(entry.Texture);
            }
            else
            {
                entry.Ready += ready;
                Send();
            }
            return entry;
        }

        /// <summary>Lets go of what <see cref="Take"/> gave.</summary>
        internal void Return(Entry entry, Action<Texture2D> ready)
        {
            entry.Ready -= ready;
            entry.Users--;
            if (disposed || entry.Users > 0)
            {
                return;
            }
            if (entry.Settled)
            {
                Rest(entry);
            }
            else if (!entry.Sent)
            {
                waiting.Remove(entry.Place);
                entries.Remove(entry.Key);
            }
        }

        /// <summary>Destroys everything; what is still on its way is destroyed when it comes.</summary>
        public void Dispose()
        {
            disposed = true;
            foreach (Entry entry in entries.Values)
            {
                Destroy(entry.Texture);
                entry.Ready = null;
            }
            entries.Clear();
            waiting.Clear();
            idle.Clear();
            idleBytes = 0;
        }

        private void Send()
        {
            while (!disposed && inFlight < FlightMax && waiting.Count > 0)
            {
                Entry entry = waiting.First.Value;
                waiting.RemoveFirst();
                entry.Sent = true;
                inFlight++;
                request(entry.Key.File, entry.Key.SideMax, texture => Arrive(entry, texture));
            }
        }

        private void Arrive(Entry entry, Texture2D texture)
        {
            if (entry.Settled)
            {
                return;
            }
            inFlight--;
            entry.Settled = true;
            if (disposed)
            {
                Destroy(texture);
                return;
            }
            if (texture != null)
            {
                // Else a scene that is loaded takes away what no scene refers to.
                texture.hideFlags = HideFlags.HideAndDontSave;
            }
            entry.Texture = texture;
            entry.Bytes = texture == null ? 0 : (long)texture.width * texture.height * BytesPerPixel;
            Action<Texture2D> ready = entry.Ready;
            entry.Ready = null;
            if (entry.Users == 0)
            {
                Rest(entry);
            }
            else if (ready != null)
            {
                ready(texture);
            }
            Send();
        }

        private void Rest(Entry entry)
        {
            // Nothing to see is not worth remembering: the file may be there by the next time.
            if (entry.Texture == null)
            {
                entries.Remove(entry.Key);
                return;
            }
            entry.Place = idle.AddLast(entry);
            idleBytes += entry.Bytes;
            while (idleBytes > idleBytesMax)
            {
                Entry oldest = idle.First.Value;
                idle.RemoveFirst();
                idleBytes -= oldest.Bytes;
                entries.Remove(oldest.Key);
                Destroy(oldest.Texture);
            }
        }

        private static void Destroy(Texture2D texture)
        {
            if (texture != null)
            {
                UnityEngine.Object.DestroyImmediate(texture);
            }
        }

        /// <summary>One preview.</summary>
        internal sealed class Entry
        {
            internal readonly Key Key;
            internal Texture2D Texture;
            internal Action<Texture2D> Ready;
            internal LinkedListNode<Entry> Place;
            internal long Bytes;
            internal int Users;
            internal bool Sent, Settled;

            internal Entry(Key key)
            {
                Key = key;
            }
        }

        /// <summary>What a preview is of.</summary>
        internal struct Key : IEquatable<Key>
        {
            internal readonly string File;
            internal readonly int SideMax;
            private readonly long written;

            internal Key(string file, int sideMax, long written)
            {
                File = file;
                SideMax = sideMax;
                this.written = written;
            }

            public bool Equals(Key other)
            {
                return File == other.File && SideMax == other.SideMax && written == other.written;
            }

            public override bool Equals(object other)
            {
                return other is Key && Equals((Key)other);
            }

            public override int GetHashCode()
            {
                return File.GetHashCode() ^ (SideMax * 397) ^ written.GetHashCode();
            }
        }
    }
}
