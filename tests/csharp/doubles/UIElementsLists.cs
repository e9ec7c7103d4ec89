// Elements that hold many others: scrolling, split panes, and a list that makes lines only for what is on screen.
using System;
using System.Collections;
using System.Collections.Generic;

namespace UnityEngine.UIElements
{
    public enum ScrollerVisibility
    {
        Auto,
        AlwaysVisible,
        Hidden,
    }

    public class ScrollView : VisualElement
    {
        public static readonly string ussClassName = "unity-scroll-view";
        private readonly VisualElement content = new VisualElement { name = "unity-content-container" };

        public ScrollView()
        {
            BuildClasses(ussClassName, "unity-scroll-view--vertical");
            var viewport = new VisualElement { name = "unity-content-viewport" };
            viewport.AddToClassList("unity-scroll-view__content-viewport");
            content.AddToClassList("unity-scroll-view__content-container");
            viewport.Add(content);
            Build(viewport);
        }

        public ScrollerVisibility verticalScrollerVisibility { get; set; }

        public override VisualElement contentContainer
        {
            get { return content; }
        }
    }

    public enum TwoPaneSplitViewOrientation
    {
        Horizontal,
        Vertical,
    }

    public class TwoPaneSplitView : VisualElement
    {
        private readonly VisualElement content = new VisualElement { name = "unity-content-container" };
        private TwoPaneSplitViewOrientation direction;

        public TwoPaneSplitView()
        {
            AddToClassList("unity-two-pane-split-view");
            content.AddToClassList("unity-two-pane-split-view__content-container");
            Build(content);
            orientation = TwoPaneSplitViewOrientation.Horizontal;
        }

        public int fixedPaneIndex { get; set; }

        public float fixedPaneInitialDimension { get; set; } = 100;

        public TwoPaneSplitViewOrientation orientation
        {
            get { return direction; }
            set
            {
                direction = value;
                bool horizontal = value == TwoPaneSplitViewOrientation.Horizontal;
                content.EnableInClassList("unity-two-pane-split-view__content-container--horizontal", horizontal);
                content.EnableInClassList("unity-two-pane-split-view__content-container--vertical", !horizontal);
            }
        }

        public override VisualElement contentContainer
        {
            get { return content; }
        }
    }

    public enum SelectionType
    {
        None,
        Single,
        Multiple,
    }

    public enum CollectionVirtualizationMethod
    {
        FixedHeight,
        DynamicHeight,
    }

    public abstract class BaseVerticalCollectionView : BindableElement
    {
        public static readonly string ussClassName = "unity-collection-view";
        internal const string ItemClass = "unity-collection-view__item";
        internal const string SelectedClass = "unity-collection-view__item--selected";
        private readonly List<int> selection = new List<int>();

        /// <summary>Lines on screen, with the index that each is bound to.</summary>
        private readonly SortedDictionary<int, VisualElement> lines = new SortedDictionary<int, VisualElement>();
        private readonly Stack<VisualElement> unused = new Stack<VisualElement>();

        internal BaseVerticalCollectionView()
        {
            BuildClasses(ussClassName, "unity-list-view");
            Scroll = new ScrollView();
            Build(Scroll);
            focusable = true;
        }

        public event Action<IEnumerable<object>> selectionChanged;

        public event Action<IEnumerable<int>> selectedIndicesChanged;

        public IList itemsSource { get; set; }

        public float fixedItemHeight { get; set; } = 22;

        public SelectionType selectionType { get; set; }

        public CollectionVirtualizationMethod virtualizationMethod { get; set; }

        public int selectedIndex
        {
            get { return selection.Count == 0 ? -1 : selection[0]; }
            set { SetSelection(value); }
        }

        public object selectedItem
        {
            get { return selection.Count == 0 ? null : itemsSource[selection[0]]; }
        }

        internal ScrollView Scroll { get; }

        /// <summary>How many lines fit on screen, and the first of them.</summary>
        internal int Fits { get; set; } = 10;

        internal int FirstShown { get; private set; }

        internal int Refreshes { get; private set; }

        internal IDictionary<int, VisualElement> Lines
        {
            get { return lines; }
        }

        internal abstract VisualElement Make();

        internal abstract void Bind(VisualElement line, int index);

        internal abstract void Unbind(VisualElement line, int index);

        /// <summary>Binds every line on screen anew; in Unity too, lines are unbound before.</summary>
        public void RefreshItems()
        {
            Refreshes++;
            int count = itemsSource == null ? 0 : itemsSource.Count;
            FirstShown = Math.Max(0, Math.Min(FirstShown, count - Fits));
            foreach (KeyValuePair<int, VisualElement> line in lines)
            {
                Unbind(line.Value, line.Key);
                line.Value.RemoveFromHierarchy();
                unused.Push(line.Value);
            }
            lines.Clear();
            for (int index = FirstShown; index < count && index < FirstShown + Fits; index++)
            {
                VisualElement line = unused.Count > 0 ? unused.Pop() : Fresh();
                Scroll.Add(line);
                lines.Add(index, line);
                Bind(line, index);
            }
            int lost = selection.RemoveAll(index => index >= count);
            DrawSelection();
            if (lost > 0 && selectedIndicesChanged != null)
            {
                selectedIndicesChanged(selection);
            }
        }

        public void Rebuild()
        {
            unused.Clear();
            RefreshItems();
        }

        public void ScrollToItem(int index)
        {
            if (index < FirstShown || index >= FirstShown + Fits)
            {
                FirstShown = index;
                RefreshItems();
            }
        }

        public void SetSelection(int index)
        {
            SetSelectionWithoutNotify(index < 0 ? new int[0] : new[] { index });
            if (selectedIndicesChanged != null)
            {
                selectedIndicesChanged(selection);
            }
            if (selectionChanged != null)
            {
                selectionChanged(new[] { selectedItem });
            }
        }

        public void SetSelectionWithoutNotify(IEnumerable<int> indices)
        {
            selection.Clear();
            selection.AddRange(indices);
            DrawSelection();
        }

        public void ClearSelection()
        {
            SetSelection(-1);
        }

        internal override void Default(EventBase evt)
        {
            var pressed = evt as KeyDownEvent;
            int step = pressed == null ? 0 : pressed.keyCode == KeyCode.DownArrow ? 1
                : pressed.keyCode == KeyCode.UpArrow ? -1 : 0;
            int next = selectedIndex + step;
            if (step != 0 && itemsSource != null && next >= 0 && next < itemsSource.Count)
            {
                SetSelection(next);
                ScrollToItem(next);
            }
        }

        private VisualElement Fresh()
        {
            VisualElement line = Make();
            line.BuildClasses(ItemClass, "unity-list-view__item");
            return line;
        }

        private void DrawSelection()
        {
            foreach (KeyValuePair<int, VisualElement> line in lines)
            {
                line.Value.EnableInClassList(SelectedClass, selection.Contains(line.Key));
            }
        }
    }

    public abstract class BaseListView : BaseVerticalCollectionView
    {
    }

    public class ListView : BaseListView
    {
        public Func<VisualElement> makeItem { get; set; }

        public Action<VisualElement, int> bindItem { get; set; }

        public Action<VisualElement, int> unbindItem { get; set; }

        internal override VisualElement Make()
        {
            return makeItem();
        }

        internal override void Bind(VisualElement line, int index)
        {
            bindItem(line, index);
        }

        internal override void Unbind(VisualElement line, int index)
        {
            if (unbindItem != null)
            {
                unbindItem(line, index);
            }
        }
    }
}
