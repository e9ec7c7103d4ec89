// Elements that show something or are pressed, with the parts and class names that Unity's own have.
using System;

namespace UnityEngine
{
    public enum ScaleMode
    {
        StretchToFill = 0,
        ScaleAndCrop = 1,
        ScaleToFit = 2,
    }
}

namespace UnityEngine.UIElements
{
    public abstract class BindableElement : VisualElement
    {
    }

    public class TextElement : BindableElement
    {
        public static readonly string ussClassName = "unity-text-element";
        private string words = "";

        public TextElement()
        {
            AddToClassList(ussClassName);
        }

        public bool enableRichText { get; set; } = true;

        public virtual string text
        {
            get { return words; }
            set { words = value ?? ""; }
        }
    }

    public class Label : TextElement
    {
        public new static readonly string ussClassName = "unity-label";

        public Label() : this("")
        {
        }

        public Label(string text)
        {
            AddToClassList(ussClassName);
            this.text = text;
        }
    }

    public class Button : TextElement
    {
        public new static readonly string ussClassName = "unity-button";
        private Action pressed;

        public Button() : this(null)
        {
        }

        public Button(Action clickEvent)
        {
            AddToClassList(ussClassName);
            focusable = true;
            pressed = clickEvent;
        }

        public event Action clicked
        {
            add { pressed += value; }
            remove { pressed -= value; }
        }

        internal override void Default(EventBase evt)
        {
            if (evt is ClickEvent && evt.target == this && pressed != null)
            {
                pressed();
            }
        }

        /// <summary>Presses it as a person can: only while it is on screen and enabled.</summary>
        /// <returns>Whether it could be pressed.</returns>
        internal bool Press()
        {
            if (!Shown || !enabledInHierarchy)
            {
                return false;
            }
            SendEvent(ClickEvent.GetPooled());
            return true;
        }
    }

    public class Image : VisualElement
    {
        public static readonly string ussClassName = "unity-image";

        public Image()
        {
            AddToClassList(ussClassName);
        }

        public Texture image { get; set; }

        public ScaleMode scaleMode { get; set; }
    }

    public abstract class AbstractProgressBar : BindableElement, INotifyValueChanged<float>
    {
        public static readonly string ussClassName = "unity-progress-bar";
        private readonly VisualElement fill = new VisualElement();
        private float current;


        public AbstractProgressBar()
        {
            AddToClassList(ussClassName);
            var container = new VisualElement();
            container.AddToClassList("unity-progress-bar__container");
            Build(container);
            var background = new VisualElement();
            background.AddToClassList("unity-progress-bar__background");
            container.Add(background);
            fill.AddToClassList("unity-progress-bar__progress");
            background.Add(fill);
            var title = new VisualElement();
            title.AddToClassList("unity-progress-bar__title-container");
            background.Add(title);
        }

        public float lowValue { get; set; }

        public float highValue { get; set; } = 100;

        public virtual float value
        {
            get { return current; }
            set { SetValueWithoutNotify(value); }
        }

        public void SetValueWithoutNotify(float newValue)
        {
            current = newValue;
            fill.userData = (current - lowValue) / (highValue - lowValue);
        }
    }

    public class ProgressBar : AbstractProgressBar
    {
    }

    public class Foldout : BindableElement, INotifyValueChanged<bool>
    {
        public static readonly string ussClassName = "unity-foldout";
        private readonly Toggle toggle = new Toggle();
        private readonly VisualElement content = new VisualElement { name = "unity-content" };

        public Foldout()
        {
            AddToClassList(ussClassName);
            toggle.AddToClassList("unity-foldout__toggle");
            toggle.SetValueWithoutNotify(true);
            Build(toggle);
            content.AddToClassList("unity-foldout__content");
            Build(content);
        }

        public override VisualElement contentContainer
        {
            get { return content; }
        }

        public string text
        {
            get { return toggle.text; }
            set { toggle.text = value; }
        }

        public bool value
        {
            get { return toggle.value; }
            set { toggle.value = value; }
        }

        public void SetValueWithoutNotify(bool newValue)
        {
            toggle.SetValueWithoutNotify(newValue);
        }
    }
}
