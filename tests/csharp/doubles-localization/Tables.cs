// Tables: keys and their numbers are shared by all languages, and each language has its own values by number.
using System;
using System.Collections.Generic;
using UnityEngine.Localization.Metadata;

namespace UnityEngine.Localization.Tables
{
    public struct TableReference
    {
        public string TableCollectionName { get; private set; }

        public static implicit operator TableReference(string tableCollectionName)
        {
            return new TableReference { TableCollectionName = tableCollectionName };
        }
    }

    public struct TableEntryReference
    {
        public string Key { get; private set; }

        public long KeyId { get; private set; }

        public static implicit operator TableEntryReference(string key)
        {
            return new TableEntryReference { Key = key };
        }

        public static implicit operator TableEntryReference(long keyId)
        {
            return new TableEntryReference { KeyId = keyId };
        }
    }

    public class SharedTableData : ScriptableObject
    {
        public class SharedTableEntry
        {
            public long Id { get; internal set; }

            public string Key { get; internal set; }

            public MetadataCollection Metadata { get; set; } = new MetadataCollection();
        }

        /// <summary>Numbers are large and far from each other, as those that the package makes.</summary>
        private long last = 7_000_000_000;

        public List<SharedTableEntry> Entries { get; set; } = new List<SharedTableEntry>();

        public string TableCollectionName { get; set; }

        public long GetId(string key)
        {
            SharedTableEntry entry = GetEntry(key);
            return entry == null ? 0 : entry.Id;
        }

        public SharedTableEntry GetEntry(long id)
        {
            return Entries.Find(entry => entry.Id == id);
        }

        public SharedTableEntry GetEntry(string key)
        {
            return Entries.Find(entry => entry.Key == key);
        }

        public SharedTableEntry AddKey(string key = null)
        {
            if (GetEntry(key) != null)
            {
                return null;
            }
            var entry = new SharedTableEntry { Id = last += 4096, Key = key };
            Entries.Add(entry);
            return entry;
        }

        internal long Number(TableEntryReference reference, bool add)
        {
            if (reference.KeyId != 0)
            {
                return reference.KeyId;
            }
            SharedTableEntry entry = GetEntry(reference.Key) ?? (add ? AddKey(reference.Key) : null);
            return entry == null ? 0 : entry.Id;
        }
    }

    public class TableEntry
    {
        internal string Localized = "";

        public LocalizationTable Table { get; internal set; }

        public long KeyId { get; internal set; }

        public string LocalizedValue
        {
            get { return Localized; }
        }
    }

    public class StringTableEntry : TableEntry
    {
        public string Value
        {
            get { return Localized; }
            set { Localized = value; }
        }
    }

    /// <summary>Names an asset by its GUID, and a part of one as GUID[part].</summary>
    public class AssetTableEntry : TableEntry
    {
        public string Address
        {
            get { return Localized; }
            set { Localized = value; }
        }

        public string Guid
        {
            get { return SubAssetName == null ? Address : Address.Substring(0, Address.IndexOf('[')); }
            set { Address = value; }
        }

        public string SubAssetName
        {
            get
            {
                bool part = Address.EndsWith("]", StringComparison.Ordinal);
                return part ? Address.Substring(Address.IndexOf('[') + 1).TrimEnd(']') : null;
            }
        }

        public bool IsEmpty
        {
            get { return string.IsNullOrEmpty(Address); }
        }
    }

    public abstract class LocalizationTable : ScriptableObject
    {
        public LocaleIdentifier LocaleIdentifier { get; set; }

        public SharedTableData SharedData { get; set; }

        public string TableCollectionName
        {
            get { return SharedData.TableCollectionName; }
        }
    }

    public abstract class DetailedLocalizationTable<TEntry> : LocalizationTable where TEntry : TableEntry
    {
        private readonly SortedDictionary<long, TEntry> entries = new SortedDictionary<long, TEntry>();

        public ICollection<TEntry> Values
        {
            get { return entries.Values; }
        }

        public abstract TEntry CreateTableEntry();

        public TEntry AddEntry(string key, string localized)
        {
            return AddEntry(SharedData.Number(key, true), localized);
        }

        public virtual TEntry AddEntry(long keyId, string localized)
        {
            TEntry entry = GetEntry(keyId);
            if (entry == null)
            {
                entry = CreateTableEntry();
                entry.KeyId = keyId;
                entry.Table = this;
                entries[keyId] = entry;
            }
            entry.Localized = localized;
            return entry;
        }

        public TEntry AddEntryFromReference(TableEntryReference entryReference, string localized)
        {
            return AddEntry(SharedData.Number(entryReference, true), localized);
        }

        public TEntry GetEntry(string key)
        {
            return GetEntry(SharedData.GetId(key));
        }

        public virtual TEntry GetEntry(long keyId)
        {
            TEntry entry;
            return entries.TryGetValue(keyId, out entry) ? entry : null;
        }
    }

    public class StringTable : DetailedLocalizationTable<StringTableEntry>
    {
        public override StringTableEntry CreateTableEntry()
        {
            return new StringTableEntry();
        }
    }

    public class AssetTable : DetailedLocalizationTable<AssetTableEntry>
    {
        public override AssetTableEntry CreateTableEntry()
        {
            return new AssetTableEntry();
        }
    }
}
