// A .meta file: the asset's GUID, its labels, and its importer's settings, one a line.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using UnityEngine;

namespace UnityEditor
{
    internal sealed class FakeMeta
    {
        private readonly string file;

        private FakeMeta(string file)
        {
            this.file = file;
        }

        internal string Guid { get; set; }

        internal List<string> Labels { get; private set; } = new List<string>();

        /// <summary>Name of the importer's block; null where there is none: Unity has not seen such a .meta.</summary>
        internal string Importer { get; set; }

        internal SortedDictionary<string, string> Settings { get; set; } = NewSettings();

        internal static SortedDictionary<string, string> NewSettings()
        {
            return new SortedDictionary<string, string>(StringComparer.Ordinal);
        }

        internal static string FileOf(string asset)
        {
            return FakeAssets.Full(asset) + ".meta";
        }

        /// <summary>Reads it; an asset without one has no GUID yet.</summary>
        internal static FakeMeta Read(string asset)
        {
            var meta = new FakeMeta(FileOf(asset));
            if (!File.Exists(meta.file))
            {
                return meta;
            }
            bool labels = false;
            foreach (string line in File.ReadAllLines(meta.file))
            {
                int colon = line.IndexOf(':');
                if (labels && line.StartsWith("- ", StringComparison.Ordinal))
                {
                    meta.Labels.Add(line.Substring(2));
                }
                else if (line.StartsWith("  ", StringComparison.Ordinal) && meta.Importer != null && colon > 0)
                {
                    meta.Settings[line.Substring(2, colon - 2)] = Plain(line.Substring(colon + 1).Trim());
                }
                else if (line.StartsWith("guid: ", StringComparison.Ordinal))
                {
                    meta.Guid = line.Substring(6).Trim();
                }
                else if (colon == line.Length - 1 && line.EndsWith("Importer:", StringComparison.Ordinal))
                {
                    meta.Importer = line.Substring(0, colon);
                }
                labels = line == "labels:" || (labels && line.StartsWith("- ", StringComparison.Ordinal));
            }
            return meta;
        }

        /// <summary>Writes it if that changes the file, and notes so.</summary>
        internal bool Save(string asset)
        {
            var text = new StringBuilder("fileFormatVersion: 2\nguid: " + Guid + "\n");
            if (Labels.Count > 0)
            {
                text.Append("labels:\n");
                foreach (string label in Labels)
                {
                    text.Append("- ").Append(label).Append('\n');
                }
            }
            if (Importer != null)
            {
                text.Append(Importer).Append(":\n");
                foreach (KeyValuePair<string, string> setting in Settings)
                {
                    text.Append("  ").Append(setting.Key).Append(": ").Append(Quoted(setting.Value)).Append('\n');
                }
            }
            string whole = text.ToString();
            if (File.Exists(file) && File.ReadAllText(file) == whole)
            {
                return false;
            }
            File.WriteAllText(file, whole);
            FakeNative.Here.Note("meta", asset);
            return true;
        }

        /// <summary>The file's text; null where there is none.</summary>
        internal static string Text(string asset)
        {
            string file = FileOf(asset);
            return File.Exists(file) ? File.ReadAllText(file) : null;
        }

        private static string Quoted(string value)
        {
            var words = new StringBuilder();
            FakeJson.Quote(words, value);
            return words.ToString();
        }

        private static string Plain(string value)
        {
            var words = value.StartsWith("\"", StringComparison.Ordinal)
                ? new FakeJson(value).Document() as FakeJson.Words
                : null;
            return words == null ? value : words.Text;
        }
    }
}
