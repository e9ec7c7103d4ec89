// The asset database's inside: which files are assets, what importing one does, and what tests may look at.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    internal static class FakeAssets
    {
        private static readonly Dictionary<string, AssetImporter> Importers = new Dictionary<string, AssetImporter>();
        private static readonly Dictionary<string, List<Object>> Objects = new Dictionary<string, List<Object>>();
        private static readonly List<string> Queue = new List<string>();
        private static bool importing;

        /// <summary>Editing scopes that are open.</summary>
        internal static int Depth { get; private set; }

        /// <summary>Called whenever somebody asks to make files editable, before the answer.</summary>
        internal static Action<string[]> Asked { get; set; }

        /// <summary>Imports so far, in order.</summary>
        internal static string[] Imports
        {
            get { return FakeNative.Here.Notes("import"); }
        }

        /// <summary>Rounds of imports: what comes in one scope is one round.</summary>
        internal static string[] Rounds
        {
            get { return FakeNative.Here.Notes("round"); }
        }

        /// <summary>Writes of .meta files so far, in order.</summary>
        internal static string[] MetaWrites
        {
            get { return FakeNative.Here.Notes("meta"); }
        }

        /// <summary>Marks a path that version control will not let anybody edit.</summary>
        internal static void Lock(string path, bool locked)
        {
            FakeNative.Here.Set("locked/" + path, locked ? "1" : null);
        }

        internal static bool IsLocked(string path)
        {
            return FakeNative.Here.Get("locked/" + path) != null;
        }

        internal static string Full(string path)
        {
            return Path.Combine(FakeEditor.Project, path);
        }

        internal static string Normal(string path)
        {
            return path.Replace('\\', '/').TrimEnd('/');
        }

        internal static void Open()
        {
            NotWhileImporting("StartAssetEditing");
            Depth++;
        }

        internal static void Close()
        {
            if (Depth == 0)
            {
                Debug.LogError("StopAssetEditing was called more often than StartAssetEditing.");
                return;
            }
            if (--Depth == 0)
            {
                string[] paths = Queue.ToArray();
                Queue.Clear();
                ImportNow(paths, new string[0]);
            }
        }

        internal static void Import(string path, ImportAssetOptions options)
        {
            NotWhileImporting("ImportAsset");
            path = Normal(path);
            if (!IsAssetPath(path) || (!File.Exists(Full(path)) && !Directory.Exists(Full(path))))
            {
                return;
            }
            if ((options & ImportAssetOptions.ForceUpdate) == 0 && Stamp(path) == Known(path) && !IsDirty(path))
            {
                return;
            }
            if (Depth > 0)
            {
                if (!Queue.Contains(path))
                {
                    Queue.Add(path);
                }
                return;
            }
            ImportNow(new[] { path }, new string[0]);
        }

        /// <summary>Looks for files that came, changed or went.</summary>
        internal static void Refresh()
        {
            NotWhileImporting("Refresh");
            if (Depth > 0)
            {
                return;
            }
            var changed = new List<string>();
            var gone = new List<string>();
            foreach (string entry in Directory.GetFileSystemEntries(Full("Assets"), "*", SearchOption.AllDirectories))
            {
                string path = Normal(entry.Substring(FakeEditor.Project.Length + 1));
                if (IsAssetPath(path) && Stamp(path) != Known(path))
                {
                    changed.Add(path);
                }
            }
            foreach (string path in Paths())
            {
                if (!File.Exists(Full(path)) && !Directory.Exists(Full(path)))
                {
                    gone.Add(path);
                    Drop(path);
                    File.Delete(FakeMeta.FileOf(path));
                }
            }
            changed.Sort(StringComparer.Ordinal);
            ImportNow(changed.ToArray(), gone.ToArray());
        }

        internal static bool IsAssetPath(string path)
        {
            string top = path.Split('/')[0];
            if (top == path || (top != "Assets" && top != "Packages"))
            {
                return false;
            }
            foreach (string step in path.Split('/'))
            {
                string name = step.ToLowerInvariant();
                bool passedOver = name == "" || name[0] == '.' || name.EndsWith("~", StringComparison.Ordinal) ||
                    name == "cvs" || name.EndsWith(".tmp", StringComparison.Ordinal);
                if (passedOver || name.EndsWith(".meta", StringComparison.Ordinal))
                {
                    return false;
                }
            }
            return true;
        }

        /// <summary>Paths of everything that was imported.</summary>
        internal static string[] Paths()
        {
            return Array.ConvertAll(FakeNative.Here.KeysWith("asset/"), key => key.Substring(6));
        }

        internal static string Known(string path)
        {
            return FakeNative.Here.Get("asset/" + Normal(path));
        }

        /// <summary>Takes the files as they are for imported: labels lie in the .meta and are no change.</summary>
        internal static void Seen(string path)
        {
            FakeNative.Here.Set("asset/" + path, Stamp(path));
        }

        internal static AssetImporter ImporterOf(string path)
        {
            path = Normal(path);
            if (Known(path) == null)
            {
                return null;
            }
            AssetImporter importer;
            if (!Importers.TryGetValue(path, out importer))
            {
                Importers[path] = importer = AssetImporter.Make(path);
                importer.Load(FakeMeta.Read(path));
            }
            return importer;
        }

        internal static List<Object> ObjectsOf(string path)
        {
            path = Normal(path);
            if (Known(path) == null)
            {
                return new List<Object>();
            }
            List<Object> objects;
            if (!Objects.TryGetValue(path, out objects))
            {
                Objects[path] = objects = new List<Object>();
                ImporterOf(path).Produce(objects);
            }
            return objects;
        }

        /// <summary>The asset that the object belongs to; "" if to none.</summary>
        internal static string PathOf(Object item)
        {
            foreach (KeyValuePair<string, List<Object>> asset in Objects)
            {
                foreach (Object own in asset.Value)
                {
                    if (ReferenceEquals(own, item))
                    {
                        return asset.Key;
                    }
                }
            }
            return "";
        }

        internal static void Move(string from, string to)
        {
            string guid = AssetDatabase.AssetPathToGUID(from);
            File.Move(Full(from), Full(to));
            File.Move(FakeMeta.FileOf(from), FakeMeta.FileOf(to));
            Drop(from);
            FakeNative.Here.Set("guid/" + guid, to);
            ImportNow(new[] { to }, new string[0]);
        }

        internal static void Delete(string path)
        {
            File.Delete(Full(path));
            File.Delete(FakeMeta.FileOf(path));
            Drop(path);
            FakePostprocessors.After(new string[0], new[] { path });
        }

        /// <summary>What a new domain does not know of the last one's objects.</summary>
        internal static void Forget()
        {
            Importers.Clear();
            Objects.Clear();
            Queue.Clear();
            Depth = 0;
            Asked = null;
        }

        /// <summary>Changes whenever the file or its .meta does.</summary>
        private static string Stamp(string path)
        {
            string full = Full(path), file = "folder";
            if (File.Exists(full))
            {
                var info = new FileInfo(full);
                file = info.Length + ":" + info.LastWriteTimeUtc.Ticks;
            }
            return file + ":" + (FakeMeta.Text(path) ?? "");
        }

        private static void Drop(string path)
        {
            FakeNative.Here.Set("guid/" + AssetDatabase.AssetPathToGUID(path), null);
            FakeNative.Here.Set("asset/" + path, null);
            Importers.Remove(path);
            Objects.Remove(path);
        }

        private static bool IsDirty(string path)
        {
            AssetImporter importer;
            return Importers.TryGetValue(path, out importer) && importer.Dirty;
        }

        private static void ImportNow(string[] paths, string[] gone)
        {
            if (paths.Length + gone.Length == 0)
            {
                return;
            }
            var imported = new List<string>();
            importing = true;
            try
            {
                foreach (string path in paths)
                {
                    // Folders come before what lies in them.
                    for (int slash = path.IndexOf('/', 7); slash > 0; slash = path.IndexOf('/', slash + 1))
                    {
                        if (Known(path.Substring(0, slash)) == null)
                        {
                            ImportOne(path.Substring(0, slash), imported);
                        }
                    }
                    ImportOne(path, imported);
                }
            }
            finally
            {
                importing = false;
            }
            FakePostprocessors.After(imported.ToArray(), gone);
        }

        private static void ImportOne(string path, List<string> imported)
        {
            if (imported.Contains(path))
            {
                return;
            }
            FakeMeta meta = FakeMeta.Read(path);
            meta.Guid = meta.Guid ?? Guid.NewGuid().ToString("N");
            AssetImporter importer;
            if (!Importers.TryGetValue(path, out importer))
            {
                Importers[path] = importer = AssetImporter.Make(path);
                importer.Load(meta);
            }
            else if (!importer.Dirty)
            {
                importer.Load(meta);
            }
            importer.SettingsMissing = meta.Importer == null;
            FakePostprocessors.Before(importer);
            List<Object> objects;
            if (!Objects.TryGetValue(path, out objects))
            {
                Objects[path] = objects = new List<Object>();
            }
            importer.Produce(objects);
            importer.Store(meta);
            meta.Save(path);
            importer.SettingsMissing = false;
            FakeNative.Here.Set("asset/" + path, Stamp(path));
            FakeNative.Here.Set("guid/" + meta.Guid, path);
            FakeNative.Here.Note("import", path);
            imported.Add(path);
        }

        private static void NotWhileImporting(string what)
        {
            FakeEditor.MainThreadOnly(what);
            if (importing)
            {
                throw new UnityException("Calls to " + what + " are restricted during asset importing.");
            }
        }
    }
}
