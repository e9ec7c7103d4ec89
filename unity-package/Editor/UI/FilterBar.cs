// The filters in the toolbar.
using System;
using System.Collections.Generic;
using UnityEditor.UIElements;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Keeps the fields of the toolbar and the filter of the queue the same.</summary>
    internal sealed class FilterBar
    {
        private readonly DropdownField state, locale;
        private readonly ToolbarSearchField search;
        private readonly RowFilter filter;
        private readonly Action changed;
        private readonly SortedSet<string> locales = new SortedSet<string>(StringComparer.Ordinal);

        internal FilterBar(VisualElement root, RowFilter filter, Action changed)
        {
            this.filter = filter;
            this.changed = changed;
            state = root.Q<DropdownField>("filter-state");
            var states = new List<string>
            {
                RowFilter.AllStates, RowFilter.Undecided, RowFilter.InProgress, RowFilter.Problems,
                RowFilter.Unaccepted,
            };
            foreach (RowState each in Wording.States)
            {
                states.Add(Wording.State(each));
            }
            state.choices = states;
            state.RegisterValueChangedCallback(change => Set(() => filter.State = change.newValue));
            locale = root.Q<DropdownField>("filter-locale");
            locale.choices = new List<string> { RowFilter.AllLocales };
            locale.RegisterValueChangedCallback(change => Set(() => filter.Locale = change.newValue));
            search = root.Q<ToolbarSearchField>("search");
            search.RegisterValueChangedCallback(change => Set(() => filter.Search = change.newValue));
            Draw();
        }

        /// <summary>
        /// Offers the locales that were seen; one that is gone stays on offer, so that a choice never changes by
        /// itself.
        /// </summary>
        internal void Update(IReadOnlyList<Row> rows)
        {
            bool fresh = false;
            for (int each = 0; each < rows.Count; each++)
            {
                string named = string.IsNullOrEmpty(rows[each].Locale) ? RowFilter.NoLocale : rows[each].Locale;
                fresh |= locales.Add(named);
            }
            if (fresh)
            {
                var choices = new List<string> { RowFilter.AllLocales };
                choices.AddRange(locales);
                locale.choices = choices;
            }
        }

        internal void Clear()
        {
            filter.Clear();
            Draw();
            changed();
        }

        private void Set(Action set)
        {
            set();
            changed();
        }

        private void Draw()
        {
            state.SetValueWithoutNotify(filter.State);
            locale.SetValueWithoutNotify(filter.Locale);
            search.SetValueWithoutNotify(filter.Search);
        }
    }
}
