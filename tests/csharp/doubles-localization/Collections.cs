// Collections: the tables of all languages under one name, and where the editor finds them.
using System;
using System.Collections.Generic;
using System.Collections.ObjectModel;
using UnityEngine;
using UnityEngine.Localization;
using UnityEngine.Localization.Tables;
using Object = UnityEngine.Object;

namespace UnityEditor.Localization
{
    public class AssetNotPersistentException : Exception
    {
        public AssetNotPersistentException(Object target) :
            base(target.name + " is not persistent. The object needs to be saved to disk.")
        {
        }
    }

    public abstract class LocalizationTableCollection : ScriptableObject
    {
        internal readonly List<LocalizationTable> All = new List<LocalizationTable>();

        public virtual SharedTableData SharedData { get; internal set; }

        public virtual string TableCollectionName
        {
            get { return SharedData.TableCollectionName; }
            set { SharedData.TableCollectionName = value; }
        }

        public virtual LocalizationTable GetTable(LocaleIdentifier localeIdentifier)
        {
            return All.Find(table => table.LocaleIdentifier == localeIdentifier);
        }

        public virtual LocalizationTable AddNewTable(LocaleIdentifier localeIdentifier)
        {
            if (GetTable(localeIdentifier) != null)
            {
                throw new Exception("Can not add new table. The same LocaleIdentifier is already in use.");
            }
            LocalizationTable table = Make();
            table.LocaleIdentifier = localeIdentifier;
            table.SharedData = SharedData;
            table.name = TableCollectionName + "_" + localeIdentifier.Code;
            All.Add(table);
            return table;
        }

        public virtual bool ContainsTable(LocalizationTable table)
        {
            return All.Contains(table);
        }

        internal abstract LocalizationTable Make();
    }

    public class StringTableCollection : LocalizationTableCollection
    {
        public virtual ReadOnlyCollection<StringTable> StringTables
        {
            get { return All.ConvertAll(table => (StringTable)table).AsReadOnly(); }
        }

        internal override LocalizationTable Make()
        {
            return CreateInstance<StringTable>();
        }
    }

    public class AssetTableCollection : LocalizationTableCollection
    {
        public virtual ReadOnlyCollection<AssetTable> AssetTables
        {
            get { return All.ConvertAll(table => (AssetTable)table).AsReadOnly(); }
        }

        public virtual void AddAssetToTable(AssetTable table, TableEntryReference entryReference, Object asset,
            bool createUndo = false)
        {
            if (table == null || asset == null)
            {
                throw new ArgumentNullException(table == null ? "table" : "asset");
            }
            if (!ContainsTable(table))
            {
                throw new Exception("The table does not belong to this collection.");
            }
            if (!EditorUtility.IsPersistent(asset))
            {
                throw new AssetNotPersistentException(asset);
            }
            EditorUtility.SetDirty(table);
            EditorUtility.SetDirty(table.SharedData);
            string guid = AssetDatabase.AssetPathToGUID(AssetDatabase.GetAssetPath(asset));
            string address = AssetDatabase.IsSubAsset(asset) ? guid + "[" + asset.name + "]" : guid;
            table.AddEntryFromReference(entryReference, address);
        }

        internal override LocalizationTable Make()
        {
            return CreateInstance<AssetTable>();
        }
    }

    public class LocalizationEditorSettings
    {
        private static readonly List<LocalizationTableCollection> Known = new List<LocalizationTableCollection>();

        public static StringTableCollection CreateStringTableCollection(string tableName, string assetDirectory,
            IList<Locale> selectedLocales)
        {
            return Make<StringTableCollection>(tableName, selectedLocales);
        }

        public static AssetTableCollection CreateAssetTableCollection(string tableName, string assetDirectory,
            IList<Locale> selectedLocales)
        {
            return Make<AssetTableCollection>(tableName, selectedLocales);
        }

        public static StringTableCollection GetStringTableCollection(TableReference tableNameOrGuid)
        {
            return (StringTableCollection)Find(tableNameOrGuid, typeof(StringTableCollection));
        }

        public static AssetTableCollection GetAssetTableCollection(TableReference tableNameOrGuid)
        {
            return (AssetTableCollection)Find(tableNameOrGuid, typeof(AssetTableCollection));
        }

        /// <summary>A new editor, with a project that has no collections.</summary>
        internal static void FakeForget()
        {
            Known.Clear();
        }

        private static LocalizationTableCollection Find(TableReference reference, Type type)
        {
            return Known.Find(one => one.GetType() == type && one.TableCollectionName == reference.TableCollectionName);
        }

        private static T Make<T>(string name, IList<Locale> locales) where T : LocalizationTableCollection
        {
            var collection = ScriptableObject.CreateInstance<T>();
            collection.SharedData = ScriptableObject.CreateInstance<SharedTableData>();
            collection.SharedData.name = name + " Shared Data";
            collection.SharedData.TableCollectionName = name;
            foreach (Locale locale in locales)
            {
                collection.AddNewTable(locale.Identifier);
            }
            Known.Add(collection);
            return collection;
        }
    }
}
