// Where the project's manifest is.
using System.IO;

namespace Thumbforge.Editor
{
    /// <summary>Finds manifests.</summary>
    internal static class Manifests
    {
        internal const string FileName = ThumbforgeSettings.ManifestFile;

        /// <summary>Absolute folder of a manifest that a script or the settings name.</summary>
        /// <param name="manifest">Folder or file, relative to the project; null or empty: that of the settings.</param>
        internal static string Folder(string manifest)
        {
            string named = string.IsNullOrEmpty(manifest) ? ThumbforgeSettings.instance.ManifestFolder : manifest;
            string path = Path.GetFullPath(Path.Combine(Installation.ProjectFolder, named));
            return Path.GetFileName(path) == FileName ? Path.GetDirectoryName(path) : path;
        }

        /// <summary>Whether the project's settings name a folder that has a manifest.</summary>
        internal static bool Exists
        {
            get { return File.Exists(Path.Combine(Folder(null), FileName)); }
        }
    }
}
