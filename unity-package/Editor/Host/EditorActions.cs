// What menus and the window ask for, in one place.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Actions of people. Each begins and returns; the window and the progress list show how it goes on.</summary>
    internal static class EditorActions
    {
        private static Board board;

        /// <summary>The board of this project.</summary>
        internal static Board Board
        {
            get { return board ?? (board = new Board()); }
        }

        /// <summary>Looks at the files again if somebody has looked at them before.</summary>
        internal static void LookAgain()
        {
            if (board != null)
            {
                board.Refresh();
            }
        }

        /// <summary>Whether a texture is one of ours: its importer carries a key.</summary>
        internal static bool IsOurs(string assetPath)
        {
            AssetImporter importer = AssetImporter.GetAtPath(assetPath);
            return importer != null && UserData.Key(importer.userData).Length > 0;
        }

        internal static void GenerateDraft(string[] assetPaths)
        {
            Board.Begin(new Build { kind = BuildKind.Draft, paths = assetPaths, interactive = true });
        }

        internal static void Regenerate(string[] assetPaths)
        {
            Board.Begin(new Build { paths = assetPaths, upgrade = true, interactive = true });
        }

        /// <summary>Draws finals with the seeds of the drafts that were made of these textures.</summary>
        internal static void Promote(string[] assetPaths)
        {
            var selected = new HashSet<string>(assetPaths);
            var promoted = new HashSet<string>();
            foreach (Row row in Board.Rows)
            {
                string path = Importer.AssetPath(Path.Combine(Manifests.Folder(null), row.Path));
                if (row.CanPromote && path != null && selected.Contains(path) && promoted.Add(row.Asset))
                {
                    Board.Promote(row);
                }
            }
            if (promoted.Count == 0)
            {
                Board.Begin(new Build { paths = assetPaths, tier = "production", interactive = true });
            }
        }

        internal static void RegenerateAll()
        {
            Board.RegenerateAll();
        }

        internal static void ShowProvenance(string assetPath)
        {
            string file = Path.GetFullPath(assetPath);
            Ask(new JsonText().Add("verb", "show").Add("file", file).ToString(), "Provenance of " + Path.GetFileName(assetPath));
        }

        internal static void Doctor()
        {
            Ask(new JsonText().Add("verb", "doctor").ToString(), "Thumbforge on this machine");
        }

        /// <summary>Sends a command whose answer is for a person to read.</summary>
        private static void Ask(string command, string title)
        {
            try
            {
                Connection connection = Host.Connection;
                var call = new CommandCall(
                    answer => Debug.Log(title + "\n" + answer),
                    failure => Debug.LogError("Thumbforge: " + failure.Message));
                connection.Send(call, connection.NewTag(CallKind.Command), command);
            }
            catch (ThumbforgeException failure)
            {
                Debug.LogError("Thumbforge: " + failure.Message);
            }
        }

        /// <summary>Textures that were changed by hand are replaced only when a person says so.</summary>
        internal static void AskAboutKept(BuildResult result)
        {
            Build build = result.Build;
            // Where nobody sits, a dialog answers itself with its first button.
            bool askable = build.interactive && !Application.isBatchMode;
            if (!askable || build.force || build.kind != BuildKind.Regenerate || build.dryRun)
            {
                return;
            }
            var kept = new List<string>();
            foreach (ItemJson item in result.Report.items)
            {
                if (item.state == "kept")
                {
                    kept.Add(item.path);
                }
            }
            if (kept.Count == 0)
            {
                return;
            }
            string names = string.Join("\n", kept.GetRange(0, Math.Min(kept.Count, 10)).ToArray())
                + (kept.Count > 10 ? "\nand " + (kept.Count - 10) + " more" : string.Empty);
            string question = "Changed outside of Thumbforge, and therefore kept:\n\n" + names;
            if (EditorUtility.DisplayDialog("Replace what was changed by hand?", question, "Replace", "Keep"))
            {
                Board.Begin(new Build { only = kept.ToArray(), force = true, interactive = true });
            }
        }
    }
}
