// The queue: rows that the filters let through, as a list that draws only what is on screen.
using System;
using System.Collections.Generic;
using UnityEditor;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Shows rows, and keeps the selection on the picture it is on while rows come, change and go.</summary>
    internal sealed class QueueView
    {
        internal const string CompactClass = "tf-queue--compact";
        private const float RowHeight = 56;
        private const float CompactBelow = 530;

        private readonly VisualElement pane, noMatch;
        private readonly ListView list;
        private readonly RowFilter filter;
        private readonly PreviewCache previews;
        private readonly VisualTreeAsset rowTree;
        private readonly List<Row> shown = new List<Row>();
        private readonly int[] oneIndex = new int[1];
        private readonly int[] noIndex = new int[0];
        private bool compact, setting;

        internal QueueView(VisualElement root, RowFilter filter, PreviewCache previews)
        {
            this.filter = filter;
            this.previews = previews;
            pane = root.Q<VisualElement>("queue-pane");
            noMatch = root.Q<VisualElement>("no-match");
            rowTree = AssetDatabase.LoadAssetAtPath<VisualTreeAsset>(UiFiles.Folder + "QueueRow.uxml");
            list = root.Q<ListView>("queue");
            list.fixedItemHeight = RowHeight;
            list.virtualizationMethod = CollectionVirtualizationMethod.FixedHeight;
            list.selectionType = SelectionType.Single;
            // Always there, so that the columns of the lines stay under those of the head.
            list.Q<ScrollView>().verticalScrollerVisibility = ScrollerVisibility.AlwaysVisible;
            list.itemsSource = shown;
            list.makeItem = MakeItem;
            list.bindItem = (item, index) => ((QueueRow)item.userData).Bind(shown[index], compact);
            list.unbindItem = (item, index) => ((QueueRow)item.userData).Unbind();
            list.selectedIndicesChanged += indices => TellSelection();
            pane.RegisterCallback<GeometryChangedEvent>(moved => SetWidth(moved.newRect.width));
        }

        /// <summary>Raised when the person chooses another row.</summary>
        internal event Action<Row> Selected;

        internal IList<Row> Shown
        {
            get { return shown; }
        }

        internal ListView List
        {
            get { return list; }
        }

        /// <summary>Filters the rows anew and puts the selection back on its picture.</summary>
        /// <param name="rows">Every row of the board.</param>
        /// <param name="selectedId">The picture that is selected, or an empty string.</param>
        /// <param name="step">Whether to go on to the next row where the selected one is no longer shown.</param>
        /// <returns>The row that the selection moved on to, or null when it did not move.</returns>
        internal Row Update(IReadOnlyList<Row> rows, string selectedId, bool step)
        {
            int before = list.selectedIndex;
            shown.Clear();
            int selected = -1;
            for (int each = 0; each < rows.Count; each++)
            {
                if (filter.Matches(rows[each]))
                {
                    if (rows[each].Id == selectedId)
                    {
                        selected = shown.Count;
                    }
                    shown.Add(rows[each]);
                }
            }
            Row moved = null;
            if (selected < 0 && step && before >= 0 && shown.Count > 0)
            {
                selected = Math.Min(before, shown.Count - 1);
                moved = shown[selected];
            }
            UiFiles.Show(list, shown.Count > 0);
            UiFiles.Show(noMatch, shown.Count == 0 && rows.Count > 0);
            // A list that lost the selected line tells so; that is no choice of the person.
            setting = true;
            list.RefreshItems();
            oneIndex[0] = selected;
            list.SetSelectionWithoutNotify(selected < 0 ? noIndex : oneIndex);
            setting = false;
            return moved;
        }

        /// <summary>Selects a picture as if it had been clicked.</summary>
        internal void Select(int index)
        {
            list.SetSelection(index);
            list.ScrollToItem(index);
        }

        internal void SetWidth(float width)
        {
            bool narrow = width < CompactBelow;
            if (narrow != compact)
            {
                compact = narrow;
                pane.EnableInClassList(CompactClass, compact);
                list.RefreshItems();
            }
        }

        private VisualElement MakeItem()
        {
            var item = new VisualElement();
            if (rowTree != null)
            {
                rowTree.CloneTree(item);
            }
            item.userData = new QueueRow(item, previews);
            return item;
        }

        private void TellSelection()
        {
            int index = list.selectedIndex;
            if (!setting && Selected != null && index >= 0 && index < shown.Count)
            {
                Selected(shown[index]);
            }
        }
    }
}
