// What the project's settings say of tables, without names that somebody left empty.
using System.Collections.Generic;

namespace Thumbforge.Editor.Localization
{
    /// <summary>Reads <see cref="ThumbforgeSettings"/>.</summary>
    internal static class Settings
    {
        /// <summary>Names of the string table collections whose words go into pictures.</summary>
        internal static List<string> StringTables()
        {
            var names = new List<string>();
            IEnumerable<string> chosen = ThumbforgeSettings.instance.StringTables;
            foreach (string name in chosen ?? new string[0])
            {
                if (!string.IsNullOrWhiteSpace(name) && !names.Contains(name.Trim()))
                {
                    names.Add(name.Trim());
                }
            }
            return names;
        }

        /// <summary>Name of the asset table collection that pictures go into; empty for none.</summary>
        internal static string AssetTable()
        {
            return (ThumbforgeSettings.instance.AssetTable ?? "").Trim();
        }
    }
}
