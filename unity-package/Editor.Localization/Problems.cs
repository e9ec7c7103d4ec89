// One warning for everything that is in the way of a build's tables, short enough to be read.
using System;
using System.Collections.Generic;

namespace Thumbforge.Editor.Localization
{
    /// <summary>Puts sentences together.</summary>
    internal static class Problems
    {
        /// <summary>What to do about a collection that is not there.</summary>
        internal const string MakeTable = "make it in Window > Asset Management > Localization Tables, or choose " +
            "another in Project Settings > Thumbforge";

        /// <summary>More would hide the ones that matter; the rest is of the same kind nearly always.</summary>
        private const int Most = 8;

        /// <summary>What failed, then a line for each problem; nothing if there is none.</summary>
        internal static string Sentence(string what, List<string> problems)
        {
            if (problems.Count == 0)
            {
                return "";
            }
            int shown = Math.Min(problems.Count, Most);
            string lines = string.Join("\n- ", problems.GetRange(0, shown).ToArray());
            string rest = problems.Count > shown ? "\n- and " + (problems.Count - shown) + " more" : "";
            return what + ":\n- " + lines + rest;
        }

        /// <summary>The first few of a list.</summary>
        internal static string Few(List<string> names)
        {
            int shown = Math.Min(names.Count, Most);
            string rest = names.Count > shown ? " and " + (names.Count - shown) + " more" : "";
            return string.Join(", ", names.GetRange(0, shown).ToArray()) + rest;
        }
    }
}
