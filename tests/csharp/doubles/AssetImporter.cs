// AssetImporter: settings and userData of an asset, kept in its .meta file.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    public partial class AssetImporter : Object
    {
        private static readonly string[] Texts = { ".txt", ".json", ".csv", ".xml", ".bytes" };
        private SortedDictionary<string, string> settings = FakeMeta.NewSettings();

        public string assetPath { get; internal set; }

        public bool importSettingsMissing
        {
            get { return SettingsMissing; }
        }

        public string userData
        {
            get { return Text("userData", ""); }
            set { Put("userData", value ?? ""); }
        }

        public static AssetImporter GetAtPath(string path)
        {
            FakeEditor.MainThreadOnly("GetAtPath");
            return FakeAssets.ImporterOf(path);
        }

        public void SaveAndReimport()
        {
            AssetDatabase.ImportAsset(assetPath);
        }

        internal bool SettingsMissing { get; set; }

        /// <summary>Whether something was set that the .meta does not have yet.</summary>
        internal bool Dirty { get; private set; }

        internal static AssetImporter Make(string path)
        {
            AssetImporter importer;
            switch (Path.GetExtension(path).ToLowerInvariant())
            {
                case ".png":
                    importer = new TextureImporter();
                    break;
                default:
                    importer = new AssetImporter();
                    break;
            }
            importer.assetPath = path;
            importer.name = Path.GetFileNameWithoutExtension(path);
            return importer;
        }

        internal void Load(FakeMeta meta)
        {
            settings = FakeMeta.NewSettings();
            foreach (KeyValuePair<string, string> setting in meta.Settings)
            {
                settings[setting.Key] = setting.Value;
            }
            Dirty = false;
        }

        internal void Store(FakeMeta meta)
        {
            meta.Importer = this is TextureImporter ? "TextureImporter" : "DefaultImporter";
            meta.Settings = FakeMeta.NewSettings();
            meta.Settings["userData"] = "";
            foreach (KeyValuePair<string, string> setting in settings)
            {
                meta.Settings[setting.Key] = setting.Value;
            }
            Dirty = false;
        }

        /// <summary>Makes or renews the objects of the asset.</summary>
        internal virtual void Produce(List<Object> objects)
        {
            objects.Clear();
            string full = FakeAssets.Full(assetPath), kind = Path.GetExtension(assetPath).ToLowerInvariant();
            if (File.Exists(full) && Array.IndexOf(Texts, kind) >= 0)
            {
                objects.Add(new TextAsset(File.ReadAllBytes(full)) { name = name });
            }
        }

        internal string Text(string key, string otherwise)
        {
            string value;
            return settings.TryGetValue(key, out value) ? value : otherwise;
        }

        internal bool Flag(string key, bool otherwise)
        {
            return Text(key, otherwise ? "1" : "0") == "1";
        }

        internal int Number(string key, int otherwise)
        {
            return int.Parse(Text(key, otherwise.ToString(CultureInfo.InvariantCulture)), CultureInfo.InvariantCulture);
        }

        internal float Real(string key, float otherwise)
        {
            string text = Text(key, otherwise.ToString("R", CultureInfo.InvariantCulture));
            return float.Parse(text, CultureInfo.InvariantCulture);
        }

        internal void Put(string key, string value)
        {
            string now;
            if (settings.TryGetValue(key, out now) && now == value)
            {
                return;
            }
            settings[key] = value;
            Dirty = true;
        }

        internal void Put(string key, bool value)
        {
            Put(key, value ? "1" : "0");
        }

        internal void Put(string key, int value)
        {
            Put(key, value.ToString(CultureInfo.InvariantCulture));
        }

        internal void Put(string key, float value)
        {
            Put(key, value.ToString("R", CultureInfo.InvariantCulture));
        }

        internal void Erase(string prefix)
        {
            foreach (string key in new List<string>(settings.Keys))
            {
                if (key.StartsWith(prefix, StringComparison.Ordinal))
                {
                    settings.Remove(key);
                    Dirty = true;
                }
            }
        }

        internal bool Has(string prefix)
        {
            foreach (string key in settings.Keys)
            {
                if (key.StartsWith(prefix, StringComparison.Ordinal))
                {
                    return true;
                }
            }
            return false;
        }
    }
}
