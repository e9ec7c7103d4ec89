// AssetDatabase over real files.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    [Flags]
    public enum ImportAssetOptions
    {
        Default = 0,
        ForceUpdate = 1 << 0,
        ForceSynchronousImport = 1 << 3,
        ImportRecursive = 1 << 8,
    }

    public partial class AssetDatabase
    {
        public static void StartAssetEditing()
        {
            FakeAssets.Open();
        }

        public static void StopAssetEditing()
        {
            FakeAssets.Close();
        }

        public static void ImportAsset(string path)
        {
            FakeAssets.Import(path, ImportAssetOptions.Default);
        }

        public static void ImportAsset(string path, ImportAssetOptions options)
        {
            FakeAssets.Import(path, options);
        }

        public static void Refresh()
        {
            FakeAssets.Refresh();
        }

        public static void Refresh(ImportAssetOptions options)
        {
            FakeAssets.Refresh();
        }

        public static void SaveAssets()
        {
            FakeNative.Here.Note("saved", "assets");
        }

        public static bool WriteImportSettingsIfDirty(string path)
        {
            AssetImporter importer = FakeAssets.ImporterOf(path);
            if (importer == null || !importer.Dirty)
            {
                return false;
            }
            FakeMeta meta = FakeMeta.Read(path);
            importer.Store(meta);
            return meta.Save(path);
        }

        public static bool IsAssetImportWorkerProcess()
        {
            return FakeEditor.ImportWorker;
        }

        public static T LoadAssetAtPath<T>(string assetPath) where T : Object
        {
            return (T)LoadAssetAtPath(assetPath, typeof(T));
        }

        public static Object LoadAssetAtPath(string assetPath, Type type)
        {
            FakeEditor.MainThreadOnly("LoadAssetAtPath");
            if (UnityEngine.UIElements.FakeUiFiles.Reads(type))
            {
                return UnityEngine.UIElements.FakeUiFiles.LoadAsset(assetPath, type);
            }
            foreach (Object item in FakeAssets.ObjectsOf(assetPath))
            {
                if (type.IsInstanceOfType(item))
                {
                    return item;
                }
            }
            return null;
        }

        public static Object LoadMainAssetAtPath(string assetPath)
        {
            return LoadAssetAtPath(assetPath, typeof(Object));
        }

        public static Type GetMainAssetTypeAtPath(string assetPath)
        {
            Object main = LoadMainAssetAtPath(assetPath);
            return main == null ? null : main.GetType();
        }

        public static bool Contains(Object obj)
        {
            return FakeAssets.PathOf(obj) != "";
        }

        public static string GetAssetPath(Object assetObject)
        {
            return FakeAssets.PathOf(assetObject);
        }

        public static string[] GetAllAssetPaths()
        {
            return FakeAssets.Paths();
        }

        public static string[] FindAssets(string filter)
        {
            return FindAssets(filter, null);
        }

        public static string[] FindAssets(string filter, string[] searchInFolders)
        {
            return FakeSearch.Find(filter, searchInFolders);
        }

        public static bool IsValidFolder(string path)
        {
            return path == "Assets" || (FakeAssets.Known(path) != null && Directory.Exists(FakeAssets.Full(path)));
        }

        public static string CreateFolder(string parentFolder, string newFolderName)
        {
            string path = parentFolder + "/" + newFolderName;
            Directory.CreateDirectory(FakeAssets.Full(path));
            FakeAssets.Import(path, ImportAssetOptions.ForceUpdate);
            return AssetPathToGUID(path);
        }

        public static string GenerateUniqueAssetPath(string path)
        {
            string extension = Path.GetExtension(path), stem = path.Substring(0, path.Length - extension.Length);
            for (int number = 1; File.Exists(FakeAssets.Full(path)); number++)
            {
                path = stem + " " + number + extension;
            }
            return path;
        }

        public static bool DeleteAsset(string path)
        {
            if (FakeAssets.Known(path) == null)
            {
                return false;
            }
            FakeAssets.Delete(path);
            return true;
        }

        public static string MoveAsset(string oldPath, string newPath)
        {
            if (FakeAssets.Known(oldPath) == null || File.Exists(FakeAssets.Full(newPath)))
            {
                return "Could not move " + oldPath + " to " + newPath;
            }
            FakeAssets.Move(oldPath, newPath);
            return "";
        }

        public static string GetTextMetaFilePathFromAssetPath(string path)
        {
            return path + ".meta";
        }
    }
}
