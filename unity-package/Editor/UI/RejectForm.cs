// The field for the reason of a rejection, inline under the buttons.
using System;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Opens in place, so that the picture which is judged stays in view.</summary>
    internal sealed class RejectForm
    {
        private readonly VisualElement form;
        private readonly TextField reason;
        private readonly Action<string> reject;

        internal RejectForm(VisualElement root, Action<string> reject)
        {
            this.reject = reject;
            form = root.Q<VisualElement>("reject-form");
            reason = root.Q<TextField>("reason");
            root.Q<Button>("reject-now").clicked += Reject;
            root.Q<Button>("reject-back").clicked += Close;
            // On the way down: the field's own handling of Enter would end the editing first.
            reason.RegisterCallback<KeyDownEvent>(Key, TrickleDown.TrickleDown);
        }

        internal void Open()
        {
            UiFiles.Show(form, true);
            reason.Focus();
        }

        internal void Close()
        {
            reason.SetValueWithoutNotify(string.Empty);
            UiFiles.Show(form, false);
        }

        private void Reject()
        {
            string said = reason.value;
            Close();
            reject(said);
        }

        private void Key(KeyDownEvent pressed)
        {
            if (pressed.keyCode == KeyCode.Return || pressed.keyCode == KeyCode.KeypadEnter)
            {
                pressed.StopPropagation();
                Reject();
            }
            else if (pressed.keyCode == KeyCode.Escape)
            {
                pressed.StopPropagation();
                Close();
            }
        }
    }
}
