// Where the window's UXML and USS are; by path, so that no GUID has to be known.
using UnityEditor;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Loads what the package draws its windows from, and tells the skins apart.</summary>
    internal static class UiFiles
    {
        internal const string Folder = "Packages/com.thumbforge.editor/Editor/UI/";
        private const string LightClass = "thumbforge--light";

        /// <summary>Fills a root with a tree of this package.</summary>
        /// <returns>False when the file cannot be loaded, which a damaged install alone explains.</returns>
        internal static bool Fill(VisualElement root, string file)
        {
            var tree = AssetDatabase.LoadAssetAtPath<VisualTreeAsset>(Folder + file);
            if (tree == null)
            {
                root.Add(new Label("Thumbforge cannot load " + Folder + file
                    + ". Reinstall the package com.thumbforge.editor."));
                return false;
            }
            tree.CloneTree(root);
            return true;
        }

        /// <summary>Gives a root the package's looks in the editor's skin.</summary>
        internal static void Dress(VisualElement root)
        {
            foreach (string file in new[] { "Palette.uss", "Thumbforge.uss" })
            {
                var sheet = AssetDatabase.LoadAssetAtPath<StyleSheet>(Folder + file);
                if (sheet != null)
                {
                    root.styleSheets.Add(sheet);
                }
            }
            root.AddToClassList("thumbforge");
            root.EnableInClassList(LightClass, !EditorGUIUtility.isProSkin);
        }

        /// <summary>Shows or hides by class, so that the sheet has the last word on how.</summary>
        internal static void Show(VisualElement element, bool shown)
        {
            element.EnableInClassList("tf-hidden", !shown);
        }
    }
}
