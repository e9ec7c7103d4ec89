// The editor's side of UI Elements: toolbars, windows, pages of settings, shortcuts.
using System;
using System.Collections.Generic;
using UnityEngine;
using UnityEngine.UIElements;

namespace UnityEngine
{
    public class GUIContent
    {
        public GUIContent(string text)
        {
            this.text = text;
        }

        public string text { get; set; }
    }
}

namespace UnityEditor
{
    public class EditorWindow : ScriptableObject
    {
        private static readonly List<EditorWindow> Opened = new List<EditorWindow>();
        private bool filled;

        public VisualElement rootVisualElement { get; } = new VisualElement { name = "rootVisualContainer" };

        public GUIContent titleContent { get; set; }

        public Vector2 minSize { get; set; }

        public static T GetWindow<T>() where T : EditorWindow
        {
            foreach (EditorWindow each in Opened)
            {
                var there = each as T;
                if (there != null)
                {
                    return there;
                }
            }
            T made = CreateInstance<T>();
            Opened.Add(made);
            return made;
        }

        public static bool HasOpenInstances<T>() where T : EditorWindow
        {
            return Opened.Exists(each => each is T);
        }

        /// <summary>The window is filled once, when it is first seen.</summary>
        public void Show()
        {
            if (!filled)
            {
                filled = true;
                FakeMessages.Send(this, "CreateGUI");
            }
        }

        public void Close()
        {
            Opened.Remove(this);
            DestroyImmediate(this);
        }

        /// <summary>Lets what the window scheduled run once.</summary>
        internal void Tick()
        {
            FakeScheduler.Of(rootVisualElement).Tick();
        }
    }

    public partial class SettingsProvider
    {
        public Action<string, VisualElement> activateHandler { get; set; }
    }

    public sealed class SettingsService
    {
        public static EditorWindow OpenProjectSettings(string settingsPath = null)
        {
            FakeNative.Here.Note("opened", settingsPath);
            return null;
        }
    }
}

namespace UnityEditor.ShortcutManagement
{
    [Flags]
    public enum ShortcutModifiers
    {
        None = 0,
        Alt = 1,
        Action = 2,
        Shift = 4,
        Control = 8,
    }

    public struct ShortcutArguments
    {
        public object context;
    }

    [AttributeUsage(AttributeTargets.Method)]
    public class ShortcutAttribute : Attribute
    {
        public ShortcutAttribute(string id, Type context, KeyCode defaultKeyCode,
            ShortcutModifiers defaultShortcutModifiers = ShortcutModifiers.None)
        {
        }
    }
}

namespace UnityEditor.UIElements
{
    public class Toolbar : VisualElement
    {
        public Toolbar()
        {
            AddToClassList("unity-toolbar");
        }
    }

    public class ToolbarButton : Button
    {
        public ToolbarButton()
        {
            RemoveFromClassList("unity-button");
            AddToClassList("unity-toolbar-button");
        }
    }

    public abstract class SearchFieldBase<TextInputType, T> : VisualElement, INotifyValueChanged<T>
        where TextInputType : BaseField<T>, new()
    {
        internal SearchFieldBase()
        {
            BuildClasses("unity-search-field-base", "unity-toolbar-search-field");
            var search = new VisualElement();
            search.AddToClassList("unity-search-field-base__search-button");
            Build(search);
            Field = new TextInputType();
            Field.AddToClassList("unity-search-field-base__text-field");
            Build(Field);
        }

        public T value
        {
            get { return Field.value; }
            set { Field.value = value; }
        }

        internal TextInputType Field { get; }

        public virtual void SetValueWithoutNotify(T newValue)
        {
            Field.SetValueWithoutNotify(newValue);
        }
    }

    public class ToolbarSearchField : SearchFieldBase<TextField, string>
    {
    }
}
