// The one rule for where locale variants lie: FOLDER/ASSET/ASSET.LOCALE.png.
using System;
using System.Collections.Generic;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// Tells which pictures break the rule. Tables would work without it; people who look for the German picture of an
    /// asset, and scripts that load it by its path, would not find it.
    /// </summary>
    internal static class VariantPaths
    {
        /// <summary>What <c>output.path</c> of a manifest ends with.</summary>
        internal const string Template = "{{ asset }}/{{ asset }}.{{ locale }}.png";

        /// <summary>One sentence for all that break the rule, or none.</summary>
        internal static List<string> Broken(IReadOnlyList<ImportedThumbnail> imported)
        {
            var paths = new List<string>();
            foreach (ImportedThumbnail thumbnail in imported)
            {
                if (!string.IsNullOrEmpty(thumbnail.Locale) && !Follows(thumbnail))
                {
                    paths.Add(thumbnail.Path);
                }
            }
            var problems = new List<string>();
            if (paths.Count > 0)
            {
                problems.Add("these do not lie where locale variants belong: " + Problems.Few(paths) +
                    "; end output.path in thumbforge.toml with " + Template);
            }
            return problems;
        }

        internal static bool Follows(ImportedThumbnail thumbnail)
        {
            string expected = "/" + thumbnail.Asset + "/" + thumbnail.Asset + "." + thumbnail.Locale + ".png";
            return ("/" + thumbnail.Path).EndsWith(expected, StringComparison.Ordinal);
        }
    }
}
