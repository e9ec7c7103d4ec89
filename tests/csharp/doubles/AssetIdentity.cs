// Who an asset is: its GUID, its labels, and whether version control lets anybody edit it.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text.RegularExpressions;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    [Serializable]
    public struct GUID
    {
        private readonly string digits;

        public GUID(string hexRepresentation)
        {
            digits = Regex.IsMatch(hexRepresentation ?? "", "^[0-9a-f]{32}$") ? hexRepresentation : null;
        }

        public bool Empty()
        {
            return digits == null || digits.Trim('0') == "";
        }

        public static bool TryParse(string hex, out GUID result)
        {
            result = new GUID(hex);
            return !result.Empty();
        }

        public override string ToString()
        {
            return digits ?? new string('0', 32);
        }
    }

    public partial class AssetDatabase
    {
        public static string AssetPathToGUID(string path)
        {
            FakeEditor.MainThreadOnly("AssetPathToGUID");
            return FakeAssets.Known(path) == null ? "" : FakeMeta.Read(FakeAssets.Normal(path)).Guid ?? "";
        }

        public static GUID GUIDFromAssetPath(string path)
        {
            return new GUID(AssetPathToGUID(path));
        }

        public static string GUIDToAssetPath(string guid)
        {
            return FakeNative.Here.Get("guid/" + guid) ?? "";
        }

        public static string GUIDToAssetPath(GUID guid)
        {
            return GUIDToAssetPath(guid.ToString());
        }

        public static string[] GetLabels(Object obj)
        {
            string path = FakeAssets.PathOf(obj);
            return path == "" ? new string[0] : FakeMeta.Read(path).Labels.ToArray();
        }

        public static string[] GetLabels(GUID guid)
        {
            string path = GUIDToAssetPath(guid);
            return path == "" ? new string[0] : FakeMeta.Read(path).Labels.ToArray();
        }

        public static void SetLabels(Object obj, string[] labels)
        {
            FakeEditor.MainThreadOnly("SetLabels");
            string path = FakeAssets.PathOf(obj);
            if (path == "")
            {
                throw new ArgumentException("the object is no asset");
            }
            FakeMeta meta = FakeMeta.Read(path);
            var sorted = new SortedSet<string>(labels, StringComparer.Ordinal);
            meta.Labels.Clear();
            meta.Labels.AddRange(sorted);
            meta.Save(path);
            FakeAssets.Seen(path);
        }

        public static void ClearLabels(Object obj)
        {
            SetLabels(obj, new string[0]);
        }

        public static bool IsOpenForEdit(string assetOrMetaFilePath)
        {
            string full = FakeAssets.Full(assetOrMetaFilePath);
            bool fixedFile = File.Exists(full) && (File.GetAttributes(full) & FileAttributes.ReadOnly) != 0;
            return !fixedFile && !FakeAssets.IsLocked(assetOrMetaFilePath);
        }

        public static bool IsOpenForEdit(string assetOrMetaFilePath, out string message)
        {
            bool open = IsOpenForEdit(assetOrMetaFilePath);
            message = open ? "" : "locked by somebody else";
            return open;
        }

        public static bool MakeEditable(string path)
        {
            return MakeEditable(new[] { path });
        }

        public static bool MakeEditable(string[] paths, string prompt = null, List<string> outNotEditablePaths = null)
        {
            FakeEditor.MainThreadOnly("MakeEditable");
            if (FakeAssets.Asked != null)
            {
                FakeAssets.Asked(paths);
            }
            bool all = true;
            foreach (string path in paths)
            {
                FakeNative.Here.Note("editable", path);
                string full = FakeAssets.Full(path);
                if (FakeAssets.IsLocked(path))
                {
                    all = false;
                    if (outNotEditablePaths != null)
                    {
                        outNotEditablePaths.Add(path);
                    }
                }
                else if (File.Exists(full))
                {
                    File.SetAttributes(full, File.GetAttributes(full) & ~FileAttributes.ReadOnly);
                }
            }
            return all;
        }
    }

    /// <summary>The search of FindAssets: words of the name, t:Type and l:label.</summary>
    internal static class FakeSearch
    {
        internal static string[] Find(string filter, string[] folders)
        {
            var found = new List<string>();
            foreach (string path in FakeAssets.Paths())
            {
                bool inside = folders == null || folders.Length == 0 ||
                    Array.Exists(folders, one => path.StartsWith(one.TrimEnd('/') + "/", StringComparison.Ordinal));
                string[] words = filter.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
                if (inside && Array.TrueForAll(words, word => Matches(path, word)))
                {
                    found.Add(AssetDatabase.AssetPathToGUID(path));
                }
            }
            return found.ToArray();
        }

        private static bool Matches(string path, string word)
        {
            if (word.StartsWith("l:", StringComparison.Ordinal))
            {
                return FakeMeta.Read(path).Labels.Contains(word.Substring(2));
            }
            if (word.StartsWith("t:", StringComparison.Ordinal))
            {
                return FakeAssets.ObjectsOf(path).Exists(item => IsCalled(item.GetType(), word.Substring(2)));
            }
            string name = Path.GetFileNameWithoutExtension(path);
            return name.IndexOf(word, StringComparison.OrdinalIgnoreCase) >= 0;
        }

        private static bool IsCalled(Type type, string name)
        {
            return type != null && (type.Name == name || IsCalled(type.BaseType, name));
        }
    }
}
