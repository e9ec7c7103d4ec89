// What the menus Assets and Tools offer, and when.
using System.Collections.Generic;
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>Menu items; each has a check beside it that greys it out where it would do nothing.</summary>
    internal static class Menus
    {
        private const string Assets = "Assets/Thumbforge/";
        private const string Tools = "Tools/Thumbforge/";
        private const int Priority = 1100;

        /// <summary>More selected assets than this are not looked through while a menu opens.</summary>
        private const int LookedThroughMax = 2000;

        [MenuItem(Assets + "Generate Draft", false, Priority)]
        private static void GenerateDraft()
        {
            ThumbforgeWindow.Open();
            EditorActions.GenerateDraft(Ours());
        }

        [MenuItem(Assets + "Generate Draft", true)]
        private static bool CanGenerateDraft()
        {
            return HasOurs();
        }

        [MenuItem(Assets + "Regenerate", false, Priority + 1)]
        private static void Regenerate()
        {
            EditorActions.Regenerate(Ours());
        }

        [MenuItem(Assets + "Regenerate", true)]
        private static bool CanRegenerate()
        {
            return HasOurs();
        }

        [MenuItem(Assets + "Promote to Final", false, Priority + 2)]
        private static void Promote()
        {
            EditorActions.Promote(Ours());
        }

        [MenuItem(Assets + "Promote to Final", true)]
        private static bool CanPromote()
        {
            return HasOurs();
        }

        [MenuItem(Assets + "Show Provenance", false, Priority + 20)]
        private static void ShowProvenance()
        {
            EditorActions.ShowProvenance(SelectedPaths()[0]);
        }

        [MenuItem(Assets + "Show Provenance", true)]
        private static bool CanShowProvenance()
        {
            List<string> paths = SelectedPaths();
            return !EditorApplication.isCompiling && paths.Count == 1
                && (EditorActions.IsOurs(paths[0]) || IsPng(paths[0]));
        }

        [MenuItem(Tools + "Regenerate All Locales", false, Priority)]
        private static void RegenerateAll()
        {
            EditorActions.RegenerateAll();
        }

        [MenuItem(Tools + "Regenerate All Locales", true)]
        private static bool CanRegenerateAll()
        {
            return !EditorApplication.isCompiling && EditorActions.Board.HasManifest;
        }

        [MenuItem(Tools + "Doctor", false, Priority + 20)]
        private static void Doctor()
        {
            EditorActions.Doctor();
        }

        /// <summary>The selected assets that a manifest of ours lists.</summary>
        internal static string[] Ours()
        {
            return SelectedPaths().FindAll(EditorActions.IsOurs).ToArray();
        }

        internal static bool HasOurs()
        {
            return !EditorApplication.isCompiling && SelectedPaths().Exists(EditorActions.IsOurs);
        }

        /// <summary>A picture of another project has its provenance in it too.</summary>
        private static bool IsPng(string path)
        {
            return path.EndsWith(".png", System.StringComparison.OrdinalIgnoreCase);
        }

        private static List<string> SelectedPaths()
        {
            var paths = new List<string>();
            foreach (string guid in Selection.assetGUIDs)
            {
                string path = AssetDatabase.GUIDToAssetPath(guid);
                if (!string.IsNullOrEmpty(path) && paths.Count < LookedThroughMax)
                {
                    paths.Add(path);
                }
            }
            return paths;
        }
    }
}
