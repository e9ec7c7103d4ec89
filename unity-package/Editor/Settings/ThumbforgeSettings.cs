// What a project decides about Thumbforge, shared by everybody who works on it.
using System.Collections.Generic;
using System.IO;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>
    /// The project's settings, in <c>ProjectSettings/ThumbforgeSettings.asset</c>; commit it. What belongs to one
    /// person or
    /// machine is in <see cref="UserSettings"/>. Keys of hosted models are in neither.
    /// </summary>
    [FilePath("ProjectSettings/ThumbforgeSettings.asset", FilePathAttribute.Location.ProjectFolder)]
    public sealed class ThumbforgeSettings : ScriptableSingleton<ThumbforgeSettings>
    {
        internal const string ManifestFile = "thumbforge.toml";
        internal const int DefaultPort = 8080;

        [SerializeField] private string manifestFolder = "";
        [SerializeField] private bool serveHttp;
        [SerializeField] private int httpPort = DefaultPort;
        [SerializeField] private List<string> stringTables = new List<string>();
        [SerializeField] private string assetTable = "";

        /// <summary>
        /// Folder of the manifest, relative to the project. Where none is set it is the project's own folder if that
        /// has a
        /// thumbforge.toml, or else Assets if that has one.
        /// </summary>
        public string ManifestFolder
        {
            get { return manifestFolder.Length > 0 ? manifestFolder : FoundFolder(ProjectFolder); }
            set
            {
                manifestFolder = (value ?? string.Empty).Trim();
                Save(true);
            }
        }

        /// <summary>
        /// Whether the sidecar that this editor starts serves HTTP on this machine. Off unless switched on.
        /// </summary>
        public bool ServeHttp
        {
            get { return serveHttp; }
            set
            {
                serveHttp = value;
                Save(true);
            }
        }

        /// <summary>The port that it serves on.</summary>
        public int HttpPort
        {
            get { return httpPort; }
            set
            {
                httpPort = value;
                Save(true);
            }
        }

        /// <summary>String table collections of Unity Localization that are exported for the manifest.</summary>
        public IReadOnlyList<string> StringTables
        {
            get { return stringTables; }
        }

        /// <summary>The asset table collection that localised pictures are put into; empty for none.</summary>
        public string AssetTable
        {
            get { return assetTable; }
            set
            {
                assetTable = (value ?? string.Empty).Trim();
                Save(true);
            }
        }

        /// <summary>Sets the collections of <see cref="StringTables"/>; empty names are left out.</summary>
        public void SetStringTables(IEnumerable<string> names)
        {
            stringTables.Clear();
            foreach (string name in names)
            {
                string plain = name.Trim();
                if (plain.Length > 0)
                {
                    stringTables.Add(plain);
                }
            }
            Save(true);
        }

        /// <summary>The folder as it was set, or an empty string where it is looked for.</summary>
        internal string ManifestFolderAsSet
        {
            get { return manifestFolder; }
        }

        /// <summary>Folder of the Unity project, absolute.</summary>
        internal static string ProjectFolder
        {
            get { return Path.GetFullPath(Path.Combine(Application.dataPath, "..")); }
        }

        internal static string FoundFolder(string project)
        {
            bool inAssets = !File.Exists(Path.Combine(project, ManifestFile))
                && File.Exists(Path.Combine(project, "Assets", ManifestFile));
            return inAssets ? "Assets" : ".";
        }
    }
}
