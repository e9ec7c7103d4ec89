// ScriptableSingleton and FilePathAttribute: settings that are really saved, really loaded, and kept over a reload.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace UnityEditor
{
    [AttributeUsage(AttributeTargets.Class)]
    public class FilePathAttribute : Attribute
    {
        public enum Location
        {
            PreferencesFolder,
            ProjectFolder,
        }

        private readonly string relative;
        private readonly Location location;

        public FilePathAttribute(string relativePath, Location location)
        {
            if (string.IsNullOrEmpty(relativePath))
            {
                throw new ArgumentException("Invalid relative path (it is empty)");
            }
            relative = relativePath;
            this.location = location;
        }

        internal string Full
        {
            get
            {
                string preferences = location == Location.ProjectFolder ? "" : "Temp/Preferences";
                return Path.Combine(FakeEditor.Project, preferences, relative);
            }
        }
    }

    public class ScriptableSingleton<T> : ScriptableObject where T : ScriptableObject
    {
        private static T made;

        protected ScriptableSingleton()
        {
        }

        public static T instance
        {
            get
            {
                FakeEditor.MainThreadOnly("ScriptableSingleton.instance");
                // A singleton belongs to one editor; tests start many in one process.
                if (ReferenceEquals(made, null) || FakeSingletons.Editor(made) != FakeNative.Here)
                {
                    made = (T)CreateInstance(typeof(T));
                    made.hideFlags = HideFlags.DontSave;
                    FakeSingletons.Add(made);
                    string file = GetFilePath(), kept = FakeSingletons.Kept(typeof(T));
                    if (kept != null)
                    {
                        JsonUtility.FromJsonOverwrite(kept, made);
                    }
                    else if (!string.IsNullOrEmpty(file) && File.Exists(file))
                    {
                        JsonUtility.FromJsonOverwrite(File.ReadAllText(file), made);
                    }
                }
                return made;
            }
        }

        protected void Save(bool saveAsText)
        {
            string file = GetFilePath();
            if (string.IsNullOrEmpty(file))
            {
                Debug.LogWarning("Saving has no effect: " + GetType() + " is missing the FilePathAttribute.");
                return;
            }
            Directory.CreateDirectory(Path.GetDirectoryName(file));
            File.WriteAllText(file, JsonUtility.ToJson(this, true) + "\n");
        }

        protected static string GetFilePath()
        {
            object[] found = typeof(T).GetCustomAttributes(typeof(FilePathAttribute), true);
            return found.Length == 0 ? "" : ((FilePathAttribute)found[0]).Full;
        }
    }

    /// <summary>Singletons of this domain, which the native side keeps over a reload.</summary>
    internal static class FakeSingletons
    {
        private static readonly Dictionary<ScriptableObject, FakeNative> All =
            new Dictionary<ScriptableObject, FakeNative>();

        internal static void Add(ScriptableObject singleton)
        {
            All[singleton] = FakeNative.Here;
        }

        internal static FakeNative Editor(ScriptableObject singleton)
        {
            FakeNative editor;
            return All.TryGetValue(singleton, out editor) ? editor : null;
        }

        internal static string Kept(Type type)
        {
            return FakeNative.Here.Get("singleton/" + type.FullName);
        }

        internal static void Keep()
        {
            foreach (KeyValuePair<ScriptableObject, FakeNative> item in All)
            {
                if (item.Value == FakeNative.Here)
                {
                    FakeNative.Here.Set("singleton/" + item.Key.GetType().FullName, JsonUtility.ToJson(item.Key));
                }
            }
        }
    }
}
