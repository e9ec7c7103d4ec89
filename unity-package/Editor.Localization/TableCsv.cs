// The text of a string table collection as the Localization package exports it to CSV: Key,Id,English(en),German(de).
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using UnityEditor.Localization;
using UnityEngine.Localization.Metadata;
using UnityEngine.Localization.Tables;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// Writes the columns that the package's own export has, without comments. What it writes can be imported there.
    /// </summary>
    /// <remarks>
    /// The package's <c>Csv.Export</c> is not called: it leaves out excluded entries only where the first table has
    /// them, writes comments, and its columns need a reference to the library that it was built with. Here columns
    /// follow locale codes and rows follow the shared table, so that the same tables give the same file everywhere.
    /// </remarks>
    internal static class TableCsv
    {
        internal static string Of(StringTableCollection collection)
        {
            var tables = new List<StringTable>();
            foreach (StringTable table in collection.StringTables)
            {
                // A table whose asset was deleted is still listed.
                if (table != null)
                {
                    tables.Add(table);
                }
            }
            tables.Sort((one, other) => string.CompareOrdinal(one.LocaleIdentifier.Code, other.LocaleIdentifier.Code));
            var text = new StringBuilder("Key,Id");
            foreach (StringTable table in tables)
            {
                text.Append(',').Append(IfNeeded(table.LocaleIdentifier.ToString()));
            }
            text.Append('\n');
            foreach (SharedTableData.SharedTableEntry entry in collection.SharedData.Entries)
            {
                if (string.IsNullOrEmpty(entry.Key) || entry.Metadata.HasMetadata<ExcludeEntryFromExport>())
                {
                    continue;
                }
                text.Append(Quoted(entry.Key)).Append(',').Append(entry.Id.ToString(CultureInfo.InvariantCulture));
                foreach (StringTable table in tables)
                {
                    StringTableEntry words = table.GetEntry(entry.Id);
                    text.Append(',').Append(words == null ? "" : Quoted(words.LocalizedValue));
                }
                text.Append('\n');
            }
            return text.ToString();
        }

        private static string IfNeeded(string field)
        {
            return field.IndexOfAny(new[] { ',', '"', '\n', '\r' }) < 0 ? field : Quoted(field);
        }

        private static string Quoted(string field)
        {
            return "\"" + (field ?? "").Replace("\"", "\"\"") + "\"";
        }
    }
}
