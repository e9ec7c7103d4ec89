// Which rows the queue shows: by state, locale and words.
using System;

namespace Thumbforge.Editor
{
    /// <summary>What a person narrowed the queue down to.</summary>
    [Serializable]
    internal sealed class RowFilter
    {
        internal const string AllStates = "All states";
        internal const string Undecided = "Needs a decision";
        internal const string Unaccepted = "Not accepted";
        internal const string InProgress = "In progress";
        internal const string Problems = "Problems";
        internal const string AllLocales = "All locales";
        internal const string NoLocale = "Without locale";

        // Public fields are what Unity keeps across a reload of scripts.
        public string State = AllStates;
        public string Locale = AllLocales;
        public string Search = string.Empty;

        internal bool IsEmpty
        {
            get { return State == AllStates && Locale == AllLocales && string.IsNullOrEmpty(Search); }
        }

        internal void Clear()
        {
            State = AllStates;
            Locale = AllLocales;
            Search = string.Empty;
        }

        internal bool Matches(Row row)
        {
            return MatchesState(row) && MatchesLocale(row) && MatchesSearch(row);
        }

        private bool MatchesState(Row row)
        {
            switch (State)
            {
                case AllStates:
                case null:
                case "": return true;
                case Undecided: return Wording.IsUndecided(row);
                case Unaccepted: return row.Approval != "accepted";
                case InProgress: return Wording.IsActive(row.State);
                case Problems:
                    return row.State == RowState.Failed || row.State == RowState.Ambiguous || row.Approval == "rejected"
                        || row.Approval == "void" || HasError(row);
                default: return Wording.State(row.State) == State;
            }
        }

        private static bool HasError(Row row)
        {
            if (row.Findings != null)
            {
                foreach (Finding finding in row.Findings)
                {
                    if (finding.Severity == "error")
                    {
                        return true;
                    }
                }
            }
            return false;
        }

        private bool MatchesLocale(Row row)
        {
            if (string.IsNullOrEmpty(Locale) || Locale == AllLocales)
            {
                return true;
            }
            return Locale == NoLocale ? string.IsNullOrEmpty(row.Locale) : row.Locale == Locale;
        }

        /// <summary>Every word must be somewhere in the row.</summary>
        private bool MatchesSearch(Row row)
        {
            if (string.IsNullOrEmpty(Search))
            {
                return true;
            }
            foreach (string word in Search.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries))
            {
                if (!Has(row.Asset, word) && !Has(row.Path, word) && !Has(row.Template, word) && !Has(row.Model, word)
                    && !Has(row.Locale, word) && !Has(row.Message, word) && !Has(row.Expected, word))
                {
                    return false;
                }
            }
            return true;
        }

        private static bool Has(string text, string word)
        {
            return text != null && text.IndexOf(word, StringComparison.OrdinalIgnoreCase) >= 0;
        }
    }
}
