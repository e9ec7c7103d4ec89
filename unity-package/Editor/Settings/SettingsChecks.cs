// What is wrong with a setting, said beside its field.
using System;
using System.Collections.Generic;
using System.IO;

namespace Thumbforge.Editor
{
    /// <summary>A sentence for a value that cannot work, or an empty string for one that can.</summary>
    internal static class SettingsChecks
    {
        private const int PortMin = 1024;
        private const int PortMax = 65535;

        /// <summary>Bytes of a person's name or role that the approvals file takes comfortably.</summary>
        private const int NameCharsMax = 100;

        internal static string Manifest(string project, string folder)
        {
            if (folder.Length > 0 && folder.IndexOfAny(Path.GetInvalidPathChars()) >= 0)
            {
                return "This is no path.";
            }
            string effective = folder.Length > 0 ? folder : ThumbforgeSettings.FoundFolder(project);
            string path = Path.Combine(project, effective);
            if (folder.Length > 0 && !Directory.Exists(path))
            {
                return "There is no folder " + folder + " in this project.";
            }
            if (File.Exists(Path.Combine(path, ThumbforgeSettings.ManifestFile)))
            {
                return string.Empty;
            }
            return folder.Length > 0
                ? "There is no " + ThumbforgeSettings.ManifestFile + " in " + folder + "."
                : "There is no " + ThumbforgeSettings.ManifestFile
                    + " yet, neither in the project's folder nor in Assets. "
                    + "Window > Thumbforge makes one.";
        }

        internal static string Port(string text)
        {
            int port;
            if (!int.TryParse(text, out port))
            {
                return "A port is a number.";
            }
            return port >= PortMin && port <= PortMax ? string.Empty : "Choose a port from " + PortMin + " to "
                + PortMax + ".";
        }

        internal static string Tables(IEnumerable<string> names)
        {
            var seen = new HashSet<string>();
            foreach (string name in names)
            {
                string plain = name.Trim();
                if (plain.Length > 0 && !seen.Add(plain))
                {
                    return plain + " is named twice.";
                }
            }
            return string.Empty;
        }

        internal static string Name(string text)
        {
            if (text.IndexOfAny(new[] { '\t', '\n', '\r' }) >= 0)
            {
                return "Tabs and line ends cannot be part of it: the approvals file keeps a decision on one line.";
            }
            return text.Length <= NameCharsMax ? string.Empty : "Use " + NameCharsMax + " characters or fewer.";
        }

        internal static string Program(string path)
        {
            if (path.Length == 0)
            {
                return string.Empty;
            }
            if (!Rooted(path))
            {
                return "Write the whole path, from the root.";
            }
            return File.Exists(path) ? string.Empty : "There is no program at this path.";
        }

        internal static string DataDirectory(string path)
        {
            if (path.Length == 0)
            {
                return string.Empty;
            }
            if (!Rooted(path))
            {
                return "Write the whole path, from the root.";
            }
            return File.Exists(path) ? "This is a file; a directory is needed." : string.Empty;
        }

        private static bool Rooted(string path)
        {
            try
            {
                return Path.IsPathRooted(path);
            }
            catch (ArgumentException)
            {
                return false;
            }
        }
    }
}
