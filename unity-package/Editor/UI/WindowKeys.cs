// The keyboard: one hand on the arrows, the other on Enter and Delete.
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Enter accepts, Delete rejects, Ctrl+R re-rolls. The list itself has the arrows.</summary>
    internal sealed class WindowKeys
    {
        private readonly RowActions actions;
        private readonly DetailsView details;

        private WindowKeys(RowActions actions, DetailsView details)
        {
            this.actions = actions;
            this.details = details;
        }

        internal static void Listen(VisualElement root, RowActions actions, DetailsView details)
        {
            // On the way down, before the list takes Enter for itself.
            root.RegisterCallback<KeyDownEvent>(new WindowKeys(actions, details).Press, TrickleDown.TrickleDown);
        }

        private void Press(KeyDownEvent pressed)
        {
            var target = pressed.target as VisualElement;
            // Whoever types a reason or a search means letters, and Enter on a button means that button.
            if (target == null || IsIn<TextField>(target) || IsIn<Button>(target) || IsIn<DropdownField>(target)
                || IsIn<Foldout>(target))
            {
                return;
            }
            if (Act(pressed))
            {
                pressed.StopPropagation();
            }
        }

        private bool Act(KeyDownEvent pressed)
        {
            switch (pressed.keyCode)
            {
                case KeyCode.Return:
                case KeyCode.KeypadEnter:
                    return actions.Accept(details.Row);
                case KeyCode.Delete:
                case KeyCode.Backspace:
                    details.AskWhy();
                    return true;
                case KeyCode.R:
                    return pressed.actionKey && actions.Reroll(details.Row);
                default:
                    return false;
            }
        }

        private static bool IsIn<T>(VisualElement target) where T : VisualElement
        {
            return target is T || target.GetFirstAncestorOfType<T>() != null;
        }
    }
}
