// String tables in: writes those that the settings name to the CSV files that the manifest reads.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using UnityEditor.Localization;
using UnityEngine;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// Before a build: each string table collection that is named in the settings is written to the file of
    /// <c>locales.strings</c> that has its name (<c>Shop</c> to <c>Localization/Shop.csv</c>).
    /// </summary>
    /// <remarks>
    /// The files are committed beside the manifest, so a machine without Unity builds the same pictures from them.
    /// </remarks>
    internal static class StringTableExport
    {
        private const string ManifestName = "thumbforge.toml";

        /// <summary>What was said already, so that a project that is as its team wants it is warned once.</summary>
        private static readonly HashSet<string> Said = new HashSet<string>();

        /// <summary>Writes what has changed.</summary>
        /// <exception cref="ThumbforgeException"><c>output_file</c>: pictures would get old words.</exception>
        internal static void Run(string manifestFolder)
        {
            Export(Settings.StringTables(), manifestFolder);
        }

        internal static void Export(List<string> names, string manifestFolder)
        {
            string manifest = Path.Combine(manifestFolder, ManifestName);
            if (names.Count == 0 || !File.Exists(manifest))
            {
                return;
            }
            List<string> files;
            try
            {
                files = TomlStrings.Read(File.ReadAllText(manifest), "locales", "strings");
            }
            catch (FormatException)
            {
                // The build reads the whole manifest next, and names the mistake with its line.
                return;
            }
            var problems = new List<string>();
            foreach (string name in names)
            {
                Export(name, manifestFolder, files, problems);
            }
            string words = Problems.Sentence("Thumbforge could not export every string table", problems);
            if (words != "" && Said.Add(manifestFolder + "\n" + words))
            {
                Debug.LogWarning(words);
            }
        }

        private static void Export(string name, string manifestFolder, List<string> files, List<string> problems)
        {
            StringTableCollection collection = LocalizationEditorSettings.GetStringTableCollection(name);
            if (collection == null)
            {
                problems.Add("there is no string table collection \"" + name + "\": " + Problems.MakeTable);
                return;
            }
            if (collection.SharedData == null)
            {
                problems.Add("the collection \"" + name + "\" has lost its shared table data: restore the asset " +
                    "\"" + name + " Shared Data\" from version control");
                return;
            }
            string file = files.Find(path => IsFileOf(path, name));
            if (file == null)
            {
                problems.Add("the manifest in " + manifestFolder + " reads no file for \"" + name +
                    "\": write strings = [\"Localization/" + name + ".csv\"] under [locales]");
                return;
            }
            Write(Path.Combine(manifestFolder, file), TableCsv.Of(collection));
        }

        private static bool IsFileOf(string path, string name)
        {
            return path.EndsWith(".csv", StringComparison.OrdinalIgnoreCase) &&
                string.Equals(Path.GetFileNameWithoutExtension(path), name, StringComparison.OrdinalIgnoreCase);
        }

        /// <summary>Writes a file whole or not at all, and only if its words are others than are there.</summary>
        private static void Write(string path, string text)
        {
            var utf8 = new UTF8Encoding(false);
            if (File.Exists(path) && Lines(File.ReadAllText(path, utf8)) == Lines(text))
            {
                return;
            }
            string written = path + ".thumbforge-new";
            try
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path));
                if (File.Exists(path) && (File.GetAttributes(path) & FileAttributes.ReadOnly) != 0)
                {
                    throw new IOException("it is read-only; check it out of version control");
                }
                File.WriteAllText(written, text, utf8);
                if (File.Exists(path))
                {
                    File.Replace(written, path, null);
                }
                else
                {
                    File.Move(written, path);
                }
            }
            catch (Exception exception) when (exception is IOException || exception is UnauthorizedAccessException)
            {
                File.Delete(written);
                string message = "The string table cannot be exported to " + path + ": " + exception.Message;
                throw new ThumbforgeException("output_file", message);
            }
        }

        /// <summary>Git may give Windows other line ends than those that were written.</summary>
        private static string Lines(string text)
        {
            return text.Replace("\r\n", "\n");
        }
    }
}
