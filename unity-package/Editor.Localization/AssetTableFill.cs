// Asset tables out: puts the pictures of a build into the table that the settings name.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEditor;
using UnityEditor.Localization;
using UnityEngine;
using UnityEngine.Localization.Tables;
using Object = UnityEngine.Object;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// After a build: the entry with the asset's name has, in the table of each locale, the sprite of that locale's
    /// picture, or its texture where the importer makes no sprite.
    /// </summary>
    /// <remarks>
    /// It must run after the asset editing scope has closed: until then nothing new is imported, and the
    /// Localization package refuses what is not in the asset database. An entry that is right is not touched, so a
    /// build that changes pictures in place changes no table.
    /// </remarks>
    internal static class AssetTableFill
    {
        internal static void Run(IReadOnlyList<ImportedThumbnail> imported)
        {
            Fill(Settings.AssetTable(), imported);
        }

        internal static void Fill(string name, IReadOnlyList<ImportedThumbnail> imported)
        {
            if (name == "" || imported.Count == 0)
            {
                return;
            }
            var problems = new List<string>();
            AssetTableCollection collection = LocalizationEditorSettings.GetAssetTableCollection(name);
            if (collection == null)
            {
                problems.Add("there is no asset table collection \"" + name + "\": " + Problems.MakeTable);
            }
            else
            {
                Fill(collection, imported, problems);
                problems.AddRange(VariantPaths.Broken(imported));
            }
            string what = "Thumbforge could not fill every entry of asset table \"" + name + "\"";
            string words = Problems.Sentence(what, problems);
            if (words != "")
            {
                Debug.LogWarning(words);
            }
        }

        private static void Fill(AssetTableCollection collection, IReadOnlyList<ImportedThumbnail> imported,
            List<string> problems)
        {
            var tables = new Dictionary<string, AssetTable>(StringComparer.OrdinalIgnoreCase);
            foreach (AssetTable table in collection.AssetTables)
            {
                if (table != null)
                {
                    tables[Code(table.LocaleIdentifier.Code)] = table;
                }
            }
            var lacking = new SortedDictionary<string, int>(StringComparer.Ordinal);
            var changed = new HashSet<AssetTable>();
            foreach (ImportedThumbnail thumbnail in imported)
            {
                // A picture without a locale is the same in all of them: a game refers to it directly.
                if (string.IsNullOrEmpty(thumbnail.Locale))
                {
                    continue;
                }
                AssetTable table;
                if (!tables.TryGetValue(Code(thumbnail.Locale), out table))
                {
                    int count;
                    lacking.TryGetValue(thumbnail.Locale, out count);
                    lacking[thumbnail.Locale] = count + 1;
                    continue;
                }
                string problem;
                try
                {
                    problem = Put(collection, table, thumbnail, changed);
                }
                // One picture that the package refuses, or one damaged table, must not keep the others out.
                catch (Exception exception)
                {
                    problem = thumbnail.Path + " was refused: " + exception.Message;
                }
                if (problem != "")
                {
                    problems.Add(problem);
                }
            }
            foreach (KeyValuePair<string, int> locale in lacking)
            {
                problems.Add("it has no table for locale " + locale.Key + " (pictures: " + locale.Value + "): add " +
                    "the locale in Project Settings > Localization, and its table in Window > Asset Management > " +
                    "Localization Tables");
            }
            Save(changed);
        }

        /// <summary>Puts one picture where it belongs, unless it is there; what is in the way, or nothing.</summary>
        private static string Put(AssetTableCollection collection, AssetTable table, ImportedThumbnail thumbnail,
            HashSet<AssetTable> changed)
        {
            var importer = AssetImporter.GetAtPath(thumbnail.Path) as TextureImporter;
            if (importer == null)
            {
                return thumbnail.Path + " is no texture of this project: import it, then build again";
            }
            bool makesSprite = importer.textureType == TextureImporterType.Sprite &&
                importer.spriteImportMode == SpriteImportMode.Single;
            // Such a sprite is called like its file. Nothing is loaded to find that all is as it should be.
            if (Has(table, thumbnail, makesSprite ? Path.GetFileNameWithoutExtension(thumbnail.Path) : ""))
            {
                return "";
            }
            Object asset = makesSprite
                ? (Object)AssetDatabase.LoadAssetAtPath<Sprite>(thumbnail.Path)
                : AssetDatabase.LoadAssetAtPath<Texture2D>(thumbnail.Path);
            if (asset == null)
            {
                return thumbnail.Path + " could not be imported: the console says why";
            }
            string part = AssetDatabase.IsSubAsset(asset) ? asset.name : "";
            if (Has(table, thumbnail, part))
            {
                return "";
            }
            collection.AddAssetToTable(table, thumbnail.Asset, asset, false);
            changed.Add(table);
            return Has(table, thumbnail, part) ? "" : thumbnail.Path + " was not taken: are Addressables set up?";
        }

        /// <summary>Whether a table names the picture: its texture, or the part of it that is called so.</summary>
        private static bool Has(AssetTable table, ImportedThumbnail thumbnail, string part)
        {
            AssetTableEntry entry = table.GetEntry(thumbnail.Asset);
            return entry != null && !entry.IsEmpty && (entry.SubAssetName ?? "") == part &&
                entry.Guid == AssetDatabase.AssetPathToGUID(thumbnail.Path);
        }

        /// <summary>Writes what was changed: nobody presses Save in a build machine's editor.</summary>
        private static void Save(HashSet<AssetTable> changed)
        {
            if (changed.Count == 0)
            {
                return;
            }
            if (Application.isBatchMode)
            {
                // Groups of Addressables changed too, and only they know which.
                AssetDatabase.SaveAssets();
                return;
            }
            foreach (AssetTable table in changed)
            {
                AssetDatabase.SaveAssetIfDirty(table);
                AssetDatabase.SaveAssetIfDirty(table.SharedData);
            }
        }

        /// <summary>Manifests may write pt_BR where Unity has pt-BR.</summary>
        private static string Code(string locale)
        {
            return (locale ?? "").Replace('_', '-');
        }
    }
}
