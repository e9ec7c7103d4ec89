// Events of UI Elements, keys among them.
using System;

namespace UnityEngine
{
    [Flags]
    public enum EventModifiers
    {
        None = 0,
        Shift = 1,
        Control = 2,
        Alt = 4,
        Command = 8,
    }

    public enum KeyCode
    {
        None = 0,
        Backspace = 8,
        Return = 13,
        Escape = 27,
        R = 114,
        X = 120,
        Delete = 127,
        KeypadEnter = 271,
        UpArrow = 273,
        DownArrow = 274,
    }
}

namespace UnityEngine.UIElements
{
    public abstract class EventBase
    {
        public IEventHandler target { get; set; }

        public bool bubbles { get; protected set; }

        public bool isPropagationStopped { get; private set; }

        public bool isImmediatePropagationStopped { get; private set; }

        public void StopPropagation()
        {
            isPropagationStopped = true;
        }

        public void StopImmediatePropagation()
        {
            isPropagationStopped = true;
            isImmediatePropagationStopped = true;
        }

        internal void Bubble(bool up)
        {
            bubbles = up;
        }
    }

    public abstract class EventBase<T> : EventBase where T : EventBase<T>, new()
    {
        public static T GetPooled()
        {
            var made = new T();
            made.Bubble(true);
            return made;
        }
    }

    public abstract class KeyboardEventBase<T> : EventBase<T> where T : KeyboardEventBase<T>, new()
    {
        public EventModifiers modifiers { get; protected set; }

        public char character { get; protected set; }

        public KeyCode keyCode { get; protected set; }

        /// <summary>This double is an editor on Linux, where Control is the key of actions.</summary>
        public bool actionKey
        {
            get { return (modifiers & EventModifiers.Control) != 0; }
        }

        public static T GetPooled(char c, KeyCode keyCode, EventModifiers modifiers)
        {
            T made = GetPooled();
            made.character = c;
            made.keyCode = keyCode;
            made.modifiers = modifiers;
            return made;
        }
    }

    public class KeyDownEvent : KeyboardEventBase<KeyDownEvent>
    {
    }

    public sealed class ClickEvent : EventBase<ClickEvent>
    {
    }

    public class GeometryChangedEvent : EventBase<GeometryChangedEvent>
    {
        public Rect oldRect { get; private set; }

        public Rect newRect { get; private set; }

        public static GeometryChangedEvent GetPooled(Rect oldRect, Rect newRect)
        {
            return new GeometryChangedEvent { oldRect = oldRect, newRect = newRect };
        }
    }

    public class ChangeEvent<T> : EventBase<ChangeEvent<T>>
    {
        public T previousValue { get; protected set; }

        public T newValue { get; protected set; }

        public static ChangeEvent<T> GetPooled(T previousValue, T newValue)
        {
            ChangeEvent<T> made = GetPooled();
            made.previousValue = previousValue;
            made.newValue = newValue;
            return made;
        }
    }

    public static class INotifyValueChangedExtensions
    {
        public static bool RegisterValueChangedCallback<T>(this INotifyValueChanged<T> control,
            EventCallback<ChangeEvent<T>> callback)
        {
            var handler = control as CallbackEventHandler;
            if (handler != null)
            {
                handler.RegisterCallback(callback);
            }
            return handler != null;
        }
    }
}
