// UI Elements: a tree of elements with names, classes and events that really travel. Nothing is laid out or drawn.
using System;
using System.Collections.Generic;

namespace UnityEngine.UIElements
{
    public delegate void EventCallback<in TEventType>(TEventType evt);

    public interface IEventHandler
    {
        void SendEvent(EventBase e);
    }

    public interface INotifyValueChanged<T>
    {
        T value { get; set; }

        void SetValueWithoutNotify(T newValue);
    }

    public enum TrickleDown
    {
        NoTrickleDown = 0,
        TrickleDown = 1,
    }

    public abstract class CallbackEventHandler : IEventHandler
    {
        private readonly List<Registration> registrations = new List<Registration>();

        public void RegisterCallback<TEventType>(EventCallback<TEventType> callback,
            TrickleDown useTrickleDown = TrickleDown.NoTrickleDown)
            where TEventType : EventBase<TEventType>, new()
        {
            registrations.Add(new Registration
            {
                Callback = callback,
                Call = evt => callback((TEventType)evt),
                Type = typeof(TEventType),
                Down = useTrickleDown == TrickleDown.TrickleDown,
            });
        }

        public void UnregisterCallback<TEventType>(EventCallback<TEventType> callback,
            TrickleDown useTrickleDown = TrickleDown.NoTrickleDown)
            where TEventType : EventBase<TEventType>, new()
        {
            bool down = useTrickleDown == TrickleDown.TrickleDown;
            registrations.RemoveAll(each => each.Callback.Equals(callback) && each.Down == down);
        }

        public abstract void SendEvent(EventBase e);

        internal void Hear(EventBase evt, bool down)
        {
            foreach (Registration each in registrations.ToArray())
            {
                if (each.Down == down && each.Type == evt.GetType() && !evt.isImmediatePropagationStopped)
                {
                    each.Call(evt);
                }
            }
        }

        /// <summary>What the element itself does after everybody was told.</summary>
        internal virtual void Default(EventBase evt)
        {
        }

        private sealed class Registration
        {
            internal Delegate Callback;
            internal Action<EventBase> Call;
            internal Type Type;
            internal bool Down;
        }
    }

    public abstract class Focusable : CallbackEventHandler
    {
        public bool focusable { get; set; }

        public int tabIndex { get; set; }

        /// <summary>Whoever was focused last, in any window.</summary>
        internal static Focusable Focused { get; set; }

        public virtual void Focus()
        {
            Focused = this;
        }

        public virtual void Blur()
        {
            if (Focused == this)
            {
                Focused = null;
            }
        }
    }

    public partial class VisualElement : Focusable
    {
        private readonly List<VisualElement> children = new List<VisualElement>();
        private readonly List<string> classes = new List<string>();

        public string name { get; set; } = "";

        public string tooltip { get; set; } = "";

        public string viewDataKey { get; set; }

        public object userData { get; set; }

        public VisualElement parent { get; private set; }

        public virtual VisualElement contentContainer
        {
            get { return this; }
        }

        public bool enabledInHierarchy
        {
            get { return !Disabled && (Above == null || Above.enabledInHierarchy); }
        }

        public int childCount
        {
            get { return contentContainer.children.Count; }
        }

        public VisualElementStyleSheetSet styleSheets
        {
            get { return new VisualElementStyleSheetSet(this); }
        }

        public IVisualElementScheduler schedule
        {
            get { return FakeScheduler.Of(this); }
        }

        /// <summary>The element that this one really lies in, beneath content containers.</summary>
        internal VisualElement Above { get; private set; }

        internal bool Disabled { get; private set; }

        internal List<StyleSheet> Sheets { get; } = new List<StyleSheet>();

        /// <summary>What really lies in it, content containers included.</summary>
        internal IList<VisualElement> Parts
        {
            get { return children; }
        }

        public void Add(VisualElement child)
        {
            contentContainer.Put(contentContainer.children.Count, child, this);
        }

        public void Insert(int index, VisualElement element)
        {
            contentContainer.Put(index, element, this);
        }

        public void Remove(VisualElement element)
        {
            if (!contentContainer.children.Remove(element))
            {
                throw new ArgumentException("This VisualElement is not my child");
            }
            element.Above = null;
            element.parent = null;
        }

        public void RemoveFromHierarchy()
        {
            if (parent != null)
            {
                parent.Remove(this);
            }
        }

        public void Clear()
        {
            foreach (VisualElement child in contentContainer.children.ToArray())
            {
                Remove(child);
            }
        }

        public VisualElement ElementAt(int index)
        {
            return contentContainer.children[index];
        }

        public IEnumerable<VisualElement> Children()
        {
            return contentContainer.children;
        }

        public void SetEnabled(bool value)
        {
            Disabled = !value;
        }

        public void AddToClassList(string className)
        {
            if (!classes.Contains(className))
            {
                classes.Add(className);
            }
        }

        public void RemoveFromClassList(string className)
        {
            classes.Remove(className);
        }

        public void ToggleInClassList(string className)
        {
            EnableInClassList(className, !classes.Contains(className));
        }

        public void EnableInClassList(string className, bool enable)
        {
            if (enable)
            {
                AddToClassList(className);
            }
            else
            {
                RemoveFromClassList(className);
            }
        }

        public bool ClassListContains(string cls)
        {
            return classes.Contains(cls);
        }

        public IEnumerable<string> GetClasses()
        {
            return classes;
        }

        public T GetFirstAncestorOfType<T>() where T : class
        {
            for (VisualElement each = Above; each != null; each = each.Above)
            {
                if (each is T)
                {
                    return each as T;
                }
            }
            return null;
        }

        /// <summary>Down from the root, to the target, and up again, as far as nobody stops it.</summary>
        public override void SendEvent(EventBase e)
        {
            e.target = this;
            var path = new List<VisualElement>();
            for (VisualElement each = this; each != null; each = each.Above)
            {
                path.Add(each);
            }
            for (int each = path.Count - 1; each >= 0 && !e.isPropagationStopped; each--)
            {
                path[each].Hear(e, true);
            }
            for (int each = 0; each < path.Count && !e.isPropagationStopped && (each == 0 || e.bubbles); each++)
            {
                path[each].Hear(e, false);
            }
            for (int each = 0; each < path.Count && !e.isPropagationStopped && (each == 0 || e.bubbles); each++)
            {
                path[each].Default(e);
            }
        }

        /// <summary>Puts a part of the element itself where no content container takes it.</summary>
        internal void Build(VisualElement part)
        {
            Put(children.Count, part, this);
        }

        internal void BuildClasses(params string[] names)
        {
            foreach (string each in names)
            {
                AddToClassList(each);
            }
        }

        /// <summary>Whether it is on screen as far as this package's own class for hiding says.</summary>
        internal bool Shown
        {
            get { return !ClassListContains("tf-hidden") && (Above == null || Above.Shown); }
        }

        private void Put(int index, VisualElement child, VisualElement logical)
        {
            child.RemoveFromHierarchy();
            children.Insert(index, child);
            child.Above = this;
            child.parent = logical;
        }
    }

    public struct VisualElementStyleSheetSet
    {
        private readonly VisualElement element;

        internal VisualElementStyleSheetSet(VisualElement element)
        {
            this.element = element;
        }

        public int count
        {
            get { return element.Sheets.Count; }
        }

        public void Add(StyleSheet styleSheet)
        {
            if (styleSheet == null)
            {
                throw new ArgumentNullException("styleSheet");
            }
            element.Sheets.Add(styleSheet);
        }

        public bool Contains(StyleSheet styleSheet)
        {
            return element.Sheets.Contains(styleSheet);
        }
    }

    public static class UQueryExtensions
    {
        public static T Q<T>(this VisualElement e, string name = null, string className = null) where T : VisualElement
        {
            return Find(e, each => each is T && Fits(each, name, className)) as T;
        }

        public static VisualElement Q(this VisualElement e, string name = null, string className = null)
        {
            return Find(e, each => Fits(each, name, className));
        }

        private static bool Fits(VisualElement each, string name, string className)
        {
            return (name == null || each.name == name) && (className == null || each.ClassListContains(className));
        }

        internal static VisualElement Find(VisualElement from, Predicate<VisualElement> fits)
        {
            if (fits(from))
            {
                return from;
            }
            foreach (VisualElement part in from.Parts)
            {
                VisualElement found = Find(part, fits);
                if (found != null)
                {
                    return found;
                }
            }
            return null;
        }

        internal static List<VisualElement> All(VisualElement from, Predicate<VisualElement> fits)
        {
            var found = new List<VisualElement>();
            if (fits(from))
            {
                found.Add(from);
            }
            foreach (VisualElement part in from.Parts)
            {
                found.AddRange(All(part, fits));
            }
            return found;
        }
    }
}
