// Every word that the window says about states, money, times and checks, in one place.
using System;
using System.Collections.Generic;
using System.Globalization;

namespace Thumbforge.Editor
{
    /// <summary>Turns what a row holds into what a person reads. Pure: no clock, no editor.</summary>
    internal static class Wording
    {
        private const long MicrosPerUsd = 1000000;
        private const long MicrosPerCent = 10000;

        /// <summary>States in the order in which a picture goes through them; the filter lists them so.</summary>
        internal static readonly RowState[] States =
        {
            RowState.Missing, RowState.Outdated, RowState.Queued, RowState.Planning, RowState.Running,
            RowState.Verifying, RowState.Repairing, RowState.Waiting, RowState.Draft, RowState.Done, RowState.Kept,
            RowState.Failed, RowState.Ambiguous, RowState.Cancelled,
        };

        internal static string State(RowState state)
        {
            switch (state)
            {
                case RowState.Queued: return "Queued";
                case RowState.Planning: return "Planning";
                case RowState.Running: return "Drawing";
                case RowState.Verifying: return "Checking";
                case RowState.Repairing: return "Repairing";
                case RowState.Waiting: return "Waiting";
                case RowState.Ambiguous: return "Unclear";
                case RowState.Done: return "Done";
                case RowState.Failed: return "Failed";
                case RowState.Cancelled: return "Cancelled";
                case RowState.Draft: return "Draft";
                case RowState.Missing: return "Not drawn";
                case RowState.Outdated: return "Out of date";
                default: return "Kept";
            }
        }

        /// <summary>What the state means, for its tooltip.</summary>
        internal static string StateHelp(RowState state)
        {
            switch (state)
            {
                case RowState.Queued: return "It is accepted and waits for its turn. It survives a crash and a restart.";
                case RowState.Planning: return "Its recipe is worked out.";
                case RowState.Running: return "A model draws it now.";
                case RowState.Verifying: return "It is drawn; the words and the file are checked.";
                case RowState.Repairing: return "A check found something, and only that is drawn again.";
                case RowState.Waiting: return "It waits for a rate limit, a budget or a time of day, and goes on by itself.";
                case RowState.Ambiguous:
                    return "Nobody knows whether the provider drew and billed it. Nothing is asked again until you decide.";
                case RowState.Done: return "The final picture is in the project.";
                case RowState.Failed: return "It could not be made; the details say why.";
                case RowState.Cancelled: return "It was taken back before it was drawn.";
                case RowState.Missing: return "The manifest wants it, and it is not there yet.";
                case RowState.Outdated: return "The manifest wants another picture since this one was made.";
                case RowState.Draft: return "A quick draft to look at. Nothing is in the project until it is accepted.";
                default: return "The file was changed by hand, so it was left as it is.";
            }
        }

        /// <summary>
        /// Class that gives the state its shape and colour; the shapes differ without colour too.
        /// </summary>
        internal static string StateClass(RowState state)
        {
            switch (state)
            {
                case RowState.Queued: return "tf-state--queued";
                case RowState.Planning:
                case RowState.Running:
                case RowState.Verifying:
                case RowState.Repairing: return "tf-state--active";
                case RowState.Waiting: return "tf-state--waiting";
                case RowState.Ambiguous: return "tf-state--unclear";
                case RowState.Done: return "tf-state--done";
                case RowState.Failed: return "tf-state--failed";
                case RowState.Cancelled: return "tf-state--cancelled";
                case RowState.Draft: return "tf-state--draft";
                case RowState.Missing: return "tf-state--missing";
                case RowState.Outdated: return "tf-state--outdated";
                default: return "tf-state--kept";
            }
        }

        /// <summary>All classes that <see cref="StateClass"/> can give.</summary>
        internal static readonly string[] StateClasses =
        {
            "tf-state--queued", "tf-state--active", "tf-state--waiting", "tf-state--unclear", "tf-state--done",
            "tf-state--failed", "tf-state--cancelled", "tf-state--draft", "tf-state--kept", "tf-state--missing",
            "tf-state--outdated",
        };

        /// <summary>Whether somebody works on it or will, without being asked again.</summary>
        internal static bool IsActive(RowState state)
        {
            switch (state)
            {
                case RowState.Queued:
                case RowState.Planning:
                case RowState.Running:
                case RowState.Verifying:
                case RowState.Repairing:
                case RowState.Waiting: return true;
                default: return false;
            }
        }

        /// <summary>
        /// Whether it waits for a person: a draft, or an acceptance that other pixels made void. A final that nobody
        /// judged is none, because teams that do not approve would never see the end of them.
        /// </summary>
        internal static bool IsUndecided(Row row)
        {
            return row.CanAccept && (row.DraftFile.Length > 0 || row.Approval == "void");
        }

        /// <summary>
        /// "$0.04"; less than a cent keeps the digits that tell it from nothing. Below 0 nobody knows the price.
        /// </summary>
        internal static string Money(long microsUsd)
        {
            if (microsUsd < 0)
            {
                return "unknown";
            }
            decimal usd = (decimal)microsUsd / MicrosPerUsd;
            bool small = microsUsd > 0 && microsUsd < MicrosPerCent;
            return "$" + usd.ToString(small ? "0.00####" : "#,0.00", CultureInfo.InvariantCulture);
        }

        /// <summary>What a picture cost; nothing is said of one that is not there yet.</summary>
        internal static string Cost(Row row)
        {
            bool made = !IsActive(row.State) && row.State != RowState.Missing;
            return row.CostMicrosUsd == 0 && !made ? "–" : Money(row.CostMicrosUsd);
        }

        /// <summary>"27 ms", "3.2 s", "2 min 05 s"; "–" where no time was taken.</summary>
        internal static string Duration(long ms)
        {
            if (ms <= 0)
            {
                return "–";
            }
            if (ms < 1000)
            {
                return ms.ToString(CultureInfo.InvariantCulture) + " ms";
            }
            if (ms < 59950)
            {
                return (ms / 1000.0).ToString("0.0", CultureInfo.InvariantCulture) + " s";
            }
            long seconds = (ms + 500) / 1000;
            return string.Format(CultureInfo.InvariantCulture, "{0} min {1:00} s", seconds / 60, seconds % 60);
        }

        /// <summary>"62 %".</summary>
        internal static string Percent(float part)
        {
            double whole = Math.Round(Math.Min(1f, Math.Max(0f, part)) * 100);
            return whole.ToString("0", CultureInfo.InvariantCulture) + " %";
        }

        internal static string Seed(long seed)
        {
            return seed < 0 ? "–" : seed.ToString(CultureInfo.InvariantCulture);
        }

        internal static string Locale(string locale)
        {
            return string.IsNullOrEmpty(locale) ? "–" : locale;
        }

        internal static string Tier(string tier)
        {
            switch (tier)
            {
                case "preview": return "Draft";
                case "production": return "Final";
                default: return OrDash(tier);
            }
        }

        internal static string Template(Row row)
        {
            return string.IsNullOrEmpty(row.Template) ? "–" : row.Template + ", version " + row.TemplateVersion;
        }

        /// <summary>The model, and whose place it took when it is no more than a stand-in.</summary>
        internal static string Model(Row row)
        {
            return string.IsNullOrEmpty(row.PlaceholderFor)
                ? OrDash(row.Model)
                : OrDash(row.Model) + ", stands in for " + row.PlaceholderFor;
        }

        /// <summary>The line under a row's state: what is wrong, who decided, or how far it is.</summary>
        internal static string Subline(Row row)
        {
            if (!string.IsNullOrEmpty(row.Message) && row.State != RowState.Done)
            {
                return row.Message;
            }
            switch (row.Approval)
            {
                case "accepted": return "Accepted";
                case "rejected": return "Rejected";
                case "void": return "Changed since it was accepted";
            }
            return IsUndecided(row) ? "Needs a decision" : string.Empty;
        }

        /// <summary>A sentence about who decided.</summary>
        internal static string Approval(Row row)
        {
            string by = string.IsNullOrEmpty(row.ApprovedBy) ? string.Empty : " by " + row.ApprovedBy;
            switch (row.Approval)
            {
                case "accepted": return "Accepted" + by;
                case "rejected": return "Rejected" + by;
                case "void": return "No longer accepted: the pixels changed after the decision" + by;
                default: return "Nobody has decided yet.";
            }
        }

        /// <summary>What became of reading the words back.</summary>
        internal static string TextCheck(Row row)
        {
            if (row.TextScore < 0)
            {
                return "Not read back: no text reader ran, so nobody has checked the words in the pixels.";
            }
            return row.TextScore >= 1f
                ? "Every word was read back."
                : "What was read back matches to " + Percent(row.TextScore) + ".";
        }

        /// <summary>What the person can do about the link; empty when there is nothing to do.</summary>
        internal static string LinkAction(LinkState link)
        {
            switch (link)
            {
                case LinkState.Down: return "Try again";
                case LinkState.NoProgram: return "Open settings";
                case LinkState.OldLibrary: return "Restart the editor";
                default: return string.Empty;
            }
        }

        internal static string LinkActionHelp(LinkState link)
        {
            switch (link)
            {
                case LinkState.Down: return "Start the sidecar anew. What it had accepted is not lost.";
                case LinkState.NoProgram: return "Open Project Settings > Thumbforge, where a program can be named.";
                case LinkState.OldLibrary: return "Save, close and open this project again.";
                default: return string.Empty;
            }
        }

        /// <summary>The link in one or two words.</summary>
        internal static string Link(LinkState link)
        {
            switch (link)
            {
                case LinkState.Idle: return "Ready";
                case LinkState.Attached: return "Connected";
                case LinkState.Connecting: return "Connecting";
                case LinkState.Down: return "Offline";
                case LinkState.NoProgram: return "No program";
                default: return "Restart needed";
            }
        }

        internal static string LinkClass(LinkState link)
        {
            switch (link)
            {
                case LinkState.Attached: return "tf-link--attached";
                case LinkState.Idle:
                case LinkState.Connecting: return "tf-link--connecting";
                case LinkState.Down: return "tf-link--down";
                default: return "tf-link--broken";
            }
        }

        internal static readonly string[] LinkClasses =
        {
            "tf-link--attached", "tf-link--connecting", "tf-link--down", "tf-link--broken",
        };

        /// <summary>"1 picture", "61 pictures".</summary>
        internal static string Count(int count, string one, string many)
        {
            return count.ToString(CultureInfo.InvariantCulture) + " " + (count == 1 ? one : many);
        }

        /// <summary>"61 pictures · 3 in progress · 5 to decide · 1 problem".</summary>
        internal static string Counts(IReadOnlyList<Row> rows)
        {
            int active = 0, undecided = 0, problems = 0;
            for (int each = 0; each < rows.Count; each++)
            {
                Row row = rows[each];
                active += IsActive(row.State) ? 1 : 0;
                undecided += IsUndecided(row) ? 1 : 0;
                problems += row.State == RowState.Failed || row.State == RowState.Ambiguous ? 1 : 0;
            }
            return Count(rows.Count, "picture", "pictures")
                + (active > 0 ? " · " + active.ToString(CultureInfo.InvariantCulture) + " in progress" : string.Empty)
                + (undecided > 0 ? " · " + undecided.ToString(CultureInfo.InvariantCulture) + " to decide"
                    : string.Empty)
                + (problems > 0 ? " · " + Count(problems, "problem", "problems") : string.Empty);
        }

        /// <summary>What all rows cost; a price that nobody knows is said, not left out.</summary>
        internal static string Total(IReadOnlyList<Row> rows)
        {
            long micros = 0;
            int unknown = 0;
            for (int each = 0; each < rows.Count; each++)
            {
                unknown += rows[each].CostMicrosUsd < 0 ? 1 : 0;
                micros += Math.Max(0, rows[each].CostMicrosUsd);
            }
            string known = "Total " + Money(micros);
            return unknown == 0 ? known : known + " + " + unknown.ToString(CultureInfo.InvariantCulture) + " unknown";
        }

        internal static string OrDash(string text)
        {
            return string.IsNullOrEmpty(text) ? "–" : text;
        }
    }
}
