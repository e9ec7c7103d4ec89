// What a build of a manifest is asked, and what it tells.
using System;
using System.Collections.Generic;

namespace Thumbforge.Editor
{
    /// <summary>Which pictures of a manifest to make, and how.</summary>
    public sealed class RegenerationFilter
    {
        /// <summary>Names of assets in the manifest; null or empty: all of them.</summary>
        public ICollection<string> Assets { get; set; }

        /// <summary>Locales, as in <c>ja</c>; null or empty: all of them.</summary>
        public ICollection<string> Locales { get; set; }

        /// <summary>Replaces textures that were changed by hand or are not Thumbforge's.</summary>
        public bool Force { get; set; }

        /// <summary>Draws pictures anew that an engine of this machine would draw differently.</summary>
        public bool Upgrade { get; set; }

        /// <summary>Lets built-in art stand in for models that are not on this machine.</summary>
        public bool AllowPlaceholder { get; set; }

        internal Build Build(string manifest)
        {
            return new Build
            {
                manifest = manifest,
                assets = Strings(Assets),
                locales = Strings(Locales),
                force = Force,
                upgrade = Upgrade,
                placeholder = AllowPlaceholder,
            };
        }

        private static string[] Strings(ICollection<string> strings)
        {
            var copy = new string[strings == null ? 0 : strings.Count];
            if (strings != null)
            {
                strings.CopyTo(copy, 0);
            }
            return copy;
        }
    }

    /// <summary>How far a build is.</summary>
    public struct RegenerationProgress
    {
        internal RegenerationProgress(int done, int all)
            : this()
        {
            Done = done;
            All = all;
        }

        /// <summary>Pictures that have ended.</summary>
        public int Done { get; private set; }

        /// <summary>Pictures to make.</summary>
        public int All { get; private set; }
    }

    /// <summary>One picture of a report.</summary>
    public sealed class RegeneratedThumbnail
    {
        internal RegeneratedThumbnail(ItemJson item)
        {
            Asset = item.asset ?? string.Empty;
            Locale = item.locale ?? string.Empty;
            Path = item.path ?? string.Empty;
            State = item.state ?? string.Empty;
            Key = item.realised_key ?? string.Empty;
            Engine = item.engine ?? string.Empty;
            Message = item.error != null && !string.IsNullOrEmpty(item.error.message) ? item.error.message : item.note ?? string.Empty;
        }

        /// <summary>Name in the manifest.</summary>
        public string Asset { get; private set; }

        /// <summary>BCP 47 tag; may be empty.</summary>
        public string Locale { get; private set; }

        /// <summary>Relative to the manifest.</summary>
        public string Path { get; private set; }

        /// <summary>What became of it: unchanged, stale, done, failed, kept, skipped, ambiguous, cancelled.</summary>
        public string State { get; private set; }

        /// <summary>Realised key; empty where there is no picture.</summary>
        public string Key { get; private set; }

        /// <summary>Engine that drew it.</summary>
        public string Engine { get; private set; }

        /// <summary>Why it failed, is stale or was kept; empty otherwise.</summary>
        public string Message { get; private set; }
    }

    /// <summary>What a build came to.</summary>
    public sealed class RegenerationReport
    {
        internal RegenerationReport(BuildResult result)
        {
            ReportJson report = result.Report;
            ExitCode = result.Exit;
            Message = result.Message;
            Unchanged = report.unchanged;
            Stale = report.stale;
            Rendered = report.rendered;
            Cached = report.cached;
            Failed = report.failed;
            Kept = report.kept;
            CostMicrosUsd = report.cost_micros_usd;
            Items = Array.ConvertAll(report.items ?? new ItemJson[0], item => new RegeneratedThumbnail(item));
        }

        /// <summary>Exit code, as of the command line: 0 when all is as it should be.</summary>
        public int ExitCode { get; private set; }

        /// <summary>One sentence where the exit code is not 0.</summary>
        public string Message { get; private set; }

        /// <summary>Pictures that were as they should be.</summary>
        public int Unchanged { get; private set; }

        /// <summary>As they should be, though this machine would draw them differently.</summary>
        public int Stale { get; private set; }

        /// <summary>Pictures that were drawn.</summary>
        public int Rendered { get; private set; }

        /// <summary>Pictures that came from the store.</summary>
        public int Cached { get; private set; }

        /// <summary>Pictures that were not made.</summary>
        public int Failed { get; private set; }

        /// <summary>Textures that were changed by hand, or are somebody else's, and were left alone.</summary>
        public int Kept { get; private set; }

        /// <summary>Cost in millionths of a US dollar.</summary>
        public long CostMicrosUsd { get; private set; }

        /// <summary>Every picture, in the order of paths.</summary>
        public IReadOnlyList<RegeneratedThumbnail> Items { get; private set; }

        /// <summary>One line for a log.</summary>
        public override string ToString()
        {
            string made = Rendered + " drawn, " + Cached + " from the store, " + Unchanged + " unchanged, " + Stale + " stale, "
                + Kept + " kept, " + Failed + " failed";
            return ExitCode == ExitCodes.Done ? made : made + "; exit code " + ExitCode + ": " + Message;
        }
    }
}
