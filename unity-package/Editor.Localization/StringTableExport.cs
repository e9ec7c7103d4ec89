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
    /// Before a build: each string table collection that is named in the settings is written to the file of its name in the
    /// folder <c>Localization</c> beside the manifest (<c>Shop</c> to <c>Localization/Shop.csv</c>).
    /// </summary>
    /// <remarks>
    /// The files are committed beside the manifest, so a machine without Unity builds the same pictures from them.
    /// </remarks>
    internal static class StringTableExport
    {
        private const string ManifestName = "thumbforge.toml";
        private const string Folder = "Localization";

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
            string said = File.ReadAllText(manifest);
            var problems = new List<string>();
            foreach (string name in names)
            {
                Export(name, manifestFolder, said, problems);
            }
            string words = Problems.Sentence("Thumbforge could not export every string table", problems);
            if (words != "" && Said.Add(manifestFolder + "\n" + words))
            {
                Debug.LogWarning(words);
            }
        }

        private static void Export(string name, string manifestFolder, string manifest, List<string> problems)
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
            string file = Folder + "/" + name + ".csv";
            // Whoever reads other files of the same words would get old ones and never know.
            if (manifest.IndexOf(file, StringComparison.Ordinal) < 0)
            {
                problems.Add("the manifest in " + manifestFolder + " does not read " + file + ": write strings = [\"" + file +
                    "\"] under [locales]");
                return;
            }
            Write(Path.Combine(manifestFolder, file), TableCsv.Of(collection));
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
