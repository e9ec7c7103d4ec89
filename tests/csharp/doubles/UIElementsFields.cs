// Fields: what a person types, ticks and chooses.
using System.Collections.Generic;

namespace UnityEngine.UIElements
{
    public abstract class BaseField<TValueType> : BindableElement, INotifyValueChanged<TValueType>
    {
        public static readonly string ussClassName = "unity-base-field";
        private TValueType current;

        internal BaseField(string label, string kind)
        {
            BuildClasses("unity-base-field", kind);
            labelElement = new Label();
            labelElement.BuildClasses("unity-base-field__label", kind + "__label");
            Input = new VisualElement();
            Input.BuildClasses("unity-base-field__input", kind + "__input");
            Build(Input);
            this.label = label;
        }

        public Label labelElement { get; }

        public string label
        {
            get { return labelElement.text; }
            set
            {
                labelElement.text = value;
                bool has = !string.IsNullOrEmpty(value);
                EnableInClassList("unity-base-field--no-label", !has);
                labelElement.RemoveFromHierarchy();
                if (has)
                {
                    Insert(0, labelElement);
                }
            }
        }

        public virtual TValueType value
        {
            get { return current; }
            set
            {
                if (EqualityComparer<TValueType>.Default.Equals(current, value))
                {
                    return;
                }
                TValueType previous = current;
                SetValueWithoutNotify(value);
                SendEvent(ChangeEvent<TValueType>.GetPooled(previous, value));
            }
        }

        internal VisualElement Input { get; }

        public virtual void SetValueWithoutNotify(TValueType newValue)
        {
            current = newValue;
            Written();
        }

        internal virtual void Written()
        {
        }
    }

    public abstract class TextInputBaseField<TValueType> : BaseField<TValueType>
    {
        internal TextInputBaseField(string label, string kind) : base(label, kind)
        {
            AddToClassList("unity-base-text-field");
            Input.AddToClassList("unity-base-text-field__input");
            Written(Text);
            Input.Add(Text);
        }

        public bool isDelayed { get; set; }

        public bool isReadOnly { get; set; }

        /// <summary>The element inside that has the words and gets the keys.</summary>
        internal TextElement Text { get; } = new TextElement();

        private static void Written(TextElement text)
        {
            text.AddToClassList("unity-text-element--inner-input-field-component");
        }
    }

    public class TextField : TextInputBaseField<string>
    {
        public TextField() : this(null)
        {
        }

        public TextField(string label) : base(label, "unity-text-field")
        {
            SetValueWithoutNotify("");
        }

        public bool multiline { get; set; }

        internal override void Written()
        {
            Text.text = value;
        }
    }

    public abstract class BaseBoolField : BaseField<bool>
    {
        private readonly Label beside = new Label();

        internal BaseBoolField(string label, string kind) : base(label, kind)
        {
            var mark = new VisualElement { name = "unity-checkmark" };
            mark.AddToClassList(kind + "__checkmark");
            Input.Add(mark);
            beside.AddToClassList(kind + "__text");
        }

        public string text
        {
            get { return beside.text; }
            set
            {
                beside.text = value;
                if (beside.Above == null)
                {
                    Input.Add(beside);
                }
            }
        }

        internal override void Written()
        {
            EnableInClassList("fake-checked", value);
        }
    }

    public class Toggle : BaseBoolField
    {
        public Toggle() : this(null)
        {
        }

        public Toggle(string label) : base(label, "unity-toggle")
        {
        }
    }

    public abstract class BasePopupField<TValueType, TValueChoice> : BaseField<TValueType>
    {
        private readonly TextElement chosen = new TextElement();

        internal BasePopupField(string label) : base(label, "unity-base-popup-field")
        {
            AddToClassList("unity-popup-field");
            Input.AddToClassList("unity-popup-field__input");
            chosen.AddToClassList("unity-base-popup-field__text");
            Input.Add(chosen);
            var arrow = new VisualElement();
            arrow.AddToClassList("unity-base-popup-field__arrow");
            Input.Add(arrow);
        }

        public virtual List<TValueChoice> choices { get; set; } = new List<TValueChoice>();

        public string text
        {
            get { return chosen.text; }
        }

        internal override void Written()
        {
            chosen.text = value == null ? "" : value.ToString();
        }
    }

    public class PopupField<T> : BasePopupField<T, T>
    {
        public PopupField(string label = null) : base(label)
        {
        }
    }

    public class DropdownField : PopupField<string>
    {
        public DropdownField() : this(null)
        {
        }

        public DropdownField(string label) : base(label)
        {
        }
    }
}
