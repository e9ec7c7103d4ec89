// Bringing finished pictures into the asset database: one editing scope for all of them, then their labels.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>A picture that has come into the project.</summary>
    internal sealed class ImportedThumbnail
    {
        /// <summary>Name in the manifest.</summary>
        internal string Asset;
        /// <summary>BCP 47 tag; may be empty.</summary>
        internal string Locale;
        /// <summary>As the asset database has it, as in <c>Assets/Thumbnails/sword.en.png</c>.</summary>
        internal string Path;
        /// <summary>Realised key.</summary>
        internal string Key;
        /// <summary>Engine that drew it.</summary>
        internal string Engine;
    }

    /// <summary>Imports pictures that a build wrote. Files and GUIDs are there already; this tells Unity of them.</summary>
    internal static class Importer
    {
        /// <summary>On every picture that a model drew; built-in art and the team's own files are not a model's.</summary>
        internal const string GeneratedLabel = "AI-generated";
        /// <summary>Begins the label that names the engine.</summary>
        internal const string EngineLabel = "thumbforge-";

        /// <summary>What draws without a model. A hosted model's engine has its provider's name, of which there are ever more.</summary>
        private static readonly string[] NoModels = { "builtin", "file" };

        /// <summary>The path that the asset database has for a file, or null for a file outside of it.</summary>
        internal static string AssetPath(string file)
        {
            string project = Installation.ProjectFolder + Path.DirectorySeparatorChar;
            string full = Path.GetFullPath(file);
            StringComparison comparison = Application.platform == RuntimePlatform.LinuxEditor
                ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase;
            if (!full.StartsWith(project, comparison))
            {
                return null;
            }
            string path = full.Substring(project.Length).Replace('\\', '/');
            bool imported = path.StartsWith("Assets/", comparison) || path.StartsWith("Packages/", comparison);
            return imported ? path : null;
        }

        /// <summary>
        /// Imports these pictures. A picture that was there keeps its GUID and its settings, so every reference to it holds.
        /// </summary>
        internal static void Import(IReadOnlyList<ImportedThumbnail> pictures)
        {
            if (pictures.Count == 0)
            {
                return;
            }
            using (EditingScope.Open())
            {
                foreach (ImportedThumbnail picture in pictures)
                {
                    // Set before the import, so that importing writes the .meta once or not at all.
                    SetKey(picture);
                    AssetDatabase.ImportAsset(picture.Path, ImportAssetOptions.ForceUpdate);
                }
            }
            // New assets exist only now that the scope is closed.
            foreach (ImportedThumbnail picture in pictures)
            {
                SetLabels(picture);
            }
        }

        private static void SetKey(ImportedThumbnail picture)
        {
            AssetImporter importer = AssetImporter.GetAtPath(picture.Path);
            if (importer == null || importer.importSettingsMissing)
            {
                return; // New: the postprocessor sets it.
            }
            string userData = UserData.With(importer.userData, picture.Key);
            if (userData != importer.userData)
            {
                importer.userData = userData;
                EditorUtility.SetDirty(importer);
                AssetDatabase.WriteImportSettingsIfDirty(picture.Path);
            }
        }

        private static void SetLabels(ImportedThumbnail picture)
        {
            UnityEngine.Object asset = AssetDatabase.LoadMainAssetAtPath(picture.Path);
            if (asset == null)
            {
                Debug.LogWarning("Thumbforge: Unity did not import " + picture.Path + "; its console says why");
                return;
            }
            string[] labels = AssetDatabase.GetLabels(asset);
            string[] wanted = Labels(labels, picture.Engine);
            if (!Same(labels, wanted))
            {
                AssetDatabase.SetLabels(asset, wanted);
            }
        }

        /// <summary>The labels of others, and ours for this engine.</summary>
        internal static string[] Labels(string[] labels, string engine)
        {
            var wanted = new List<string>();
            foreach (string label in labels)
            {
                if (label != GeneratedLabel && !label.StartsWith(EngineLabel, StringComparison.Ordinal))
                {
                    wanted.Add(label);
                }
            }
            if (engine.Length > 0 && Array.IndexOf(NoModels, engine) < 0)
            {
                wanted.Add(GeneratedLabel);
            }
            if (!string.IsNullOrEmpty(engine))
            {
                wanted.Add(EngineLabel + engine);
            }
            return wanted.ToArray();
        }

        private static bool Same(string[] a, string[] b)
        {
            var left = new HashSet<string>(a);
            return left.SetEquals(b);
        }
    }
}
