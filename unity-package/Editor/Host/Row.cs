// What the window shows of one picture.
using System;
using System.Collections.Generic;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Where a picture stands: the states of a job, and two of the editor's own.</summary>
    internal enum RowState
    {
        Queued,
        Planning,
        Running,
        Verifying,
        Repairing,
        Waiting,
        Ambiguous,
        Done,
        Failed,
        Cancelled,
        /// <summary>A draft lies outside of the assets and waits for a decision.</summary>
        Draft,
        /// <summary>The file is somebody's own and is left alone.</summary>
        Kept,
        /// <summary>It is wanted, and not there.</summary>
        Missing,
        /// <summary>It is there, and the manifest has wanted another one since it was made.</summary>
        Outdated,
    }

    /// <summary>What the checks found.</summary>
    internal sealed class Finding
    {
        public string Code = string.Empty;
        public string Severity = string.Empty;
        public string Message = string.Empty;
    }

    /// <summary>One picture. Texts are never null.</summary>
    internal sealed class Row
    {
        /// <summary>The same for the same asset and locale.</summary>
        public string Id = string.Empty;
        public string Asset = string.Empty;
        public string Locale = string.Empty;
        /// <summary>The final's path in the asset database, or relative to the manifest where it is no asset.</summary>
        public string Path = string.Empty;
        /// <summary>Absolute; empty where there is none.</summary>
        public string DraftFile = string.Empty;
        /// <summary>Absolute; empty where there is none.</summary>
        public string FinalFile = string.Empty;
        public RowState State;
        /// <summary>0 to 1; -1 while unknown.</summary>
        public float Progress = -1;
        public long CostMicrosUsd;
        public long LatencyMs;
        public string Model = string.Empty;
        public string Engine = string.Empty;
        public string PlaceholderFor = string.Empty;
        public string Template = string.Empty;
        public int TemplateVersion;
        public string Tier = string.Empty;
        public string Key = string.Empty;
        /// <summary>Hash of the pixels that are shown: a decision is on these and no others. Empty where it is not known.</summary>
        public string Pixels = string.Empty;
        /// <summary>-1 where it is not known yet.</summary>
        public long Seed = -1;
        /// <summary>Why it failed or was kept.</summary>
        public string Message = string.Empty;
        /// <summary>accepted, rejected, void, or empty.</summary>
        public string Approval = string.Empty;
        public string ApprovedBy = string.Empty;
        /// <summary>Words that should be in the picture, and those that were read; empty where nobody read.</summary>
        public string Expected = string.Empty;
        public string Read = string.Empty;
        /// <summary>0 to 1; -1 where nobody read.</summary>
        public float TextScore = -1;
        public List<Finding> Findings = new List<Finding>();

        public bool CanAccept
        {
            get
            {
                bool good = Settled && State != RowState.Failed && State != RowState.Cancelled;
                return good && (DraftFile.Length > 0 || (FinalFile.Length > 0 && Approval != "accepted"));
            }
        }

        public bool CanReject
        {
            get { return Settled && (DraftFile.Length > 0 || FinalFile.Length > 0); }
        }

        public bool CanReroll
        {
            get { return Settled && Asset.Length > 0; }
        }

        public bool CanPromote
        {
            get { return Settled && DraftFile.Length > 0; }
        }

        public bool CanCancel
        {
            get { return !Settled; }
        }

        /// <summary>Whether nothing is on its way for it.</summary>
        internal bool Settled
        {
            get
            {
                return State == RowState.Done || State == RowState.Failed || State == RowState.Cancelled || State == RowState.Draft
                    || State == RowState.Kept || State == RowState.Missing || State == RowState.Outdated;
            }
        }

        internal static string IdOf(string asset, string locale)
        {
            return asset + "\n" + locale;
        }

        /// <summary>Takes over what a report says of the picture.</summary>
        internal void Take(ItemJson item)
        {
            Engine = item.engine ?? string.Empty;
            Model = item.model ?? string.Empty;
            PlaceholderFor = item.placeholder_for ?? string.Empty;
            Template = item.template ?? string.Empty;
            TemplateVersion = item.template_version;
            Tier = item.tier ?? string.Empty;
            Key = item.realised_key ?? string.Empty;
            Pixels = item.pixels ?? string.Empty;
            Seed = item.seed;
            CostMicrosUsd = item.cost_micros_usd;
            LatencyMs = item.latency_ms;
            bool failed = item.error != null && !string.IsNullOrEmpty(item.error.message);
            Message = failed ? item.error.message : item.note ?? string.Empty;
            bool judged = item.approval != null && !string.IsNullOrEmpty(item.approval.state);
            Approval = judged ? item.approval.state : string.Empty;
            ApprovedBy = judged ? item.approval.person + " (" + item.approval.role + "), " + item.approval.date : string.Empty;
            Findings.Clear();
            Expected = Read = string.Empty;
            TextScore = -1;
            foreach (FindingJson finding in item.verdict == null || item.verdict.findings == null
                ? new FindingJson[0] : item.verdict.findings)
            {
                Findings.Add(new Finding { Code = finding.code, Severity = finding.severity, Message = finding.message });
                TakeWords(finding);
            }
            // Where words were read and nothing is said of any, all of them are there.
            bool wasRead = item.verdict != null && item.verdict.readers != null && item.verdict.readers.Length > 0;
            if (wasRead && Expected.Length == 0)
            {
                TextScore = 1;
            }
        }

        /// <summary>Keeps what is worst about words: the score of other findings is a contrast or a share, not a match.</summary>
        private void TakeWords(FindingJson finding)
        {
            bool mismatch = finding.code == "text_mismatch" || finding.code == "text_illegible";
            bool unverified = finding.code == "text_unverified";
            if (string.IsNullOrEmpty(finding.expected) || (!mismatch && !unverified))
            {
                return;
            }
            float score = unverified ? -1 : finding.score;
            if (Expected.Length > 0 && TextScore <= score)
            {
                return;
            }
            Expected = finding.expected;
            Read = finding.read ?? string.Empty;
            TextScore = score;
        }

        /// <summary>The state for a word of a report or of an event.</summary>
        internal static RowState StateOf(string word)
        {
            switch (word)
            {
                case "unchanged":
                case "stale":
                case "done":
                    return RowState.Done;
                case "planned":
                case "cached":
                case "skipped":
                    return RowState.Missing;
                default:
                    RowState state;
                    return Enum.TryParse(word, true, out state) ? state : RowState.Waiting;
            }
        }
    }

    /// <summary>How the editor stands with its sidecar.</summary>
    internal enum LinkState
    {
        /// <summary>Nobody has asked for anything yet.</summary>
        Idle,
        Connecting,
        Attached,
        Down,
        /// <summary>There is no program to start.</summary>
        NoProgram,
        /// <summary>The native library is of another version: the editor must be restarted.</summary>
        OldLibrary,
    }

    /// <summary>What the window shows and can do. Main thread only.</summary>
    internal interface IBoard
    {
        /// <summary>In the order of assets and locales.</summary>
        IReadOnlyList<Row> Rows { get; }
        /// <summary>Raised with every change.</summary>
        int Version { get; }
        LinkState Link { get; }
        /// <summary>What is wrong and what to do, in a sentence; empty where nothing is.</summary>
        string LinkMessage { get; }
        bool HasManifest { get; }
        /// <summary>What goes on, as in "Regenerating: 12 of 40"; empty where nothing does.</summary>
        string Busy { get; }
        /// <summary>What went wrong with the last thing that was asked; empty where nothing did.</summary>
        string Trouble { get; }
        void Accept(Row row);
        void Reject(Row row, string reason);
        void Reroll(Row row);
        void Promote(Row row);
        void Cancel(Row row);
        void CancelAll();
        void RegenerateAll();
        /// <summary>Looks at the manifest and the files again.</summary>
        void Refresh();
        /// <summary>Called once a frame while somebody looks; allocates nothing while nothing happens.</summary>
        void Tick();
        /// <summary>A picture of a file, its longer side at most <paramref name="sideMax"/>; null where it cannot be shown.</summary>
        void RequestPreview(string file, int sideMax, Action<Texture2D> ready);
    }
}
