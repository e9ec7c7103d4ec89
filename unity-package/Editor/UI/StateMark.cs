// The mark of a state: a shape and a name.
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Sets the mark of a state on the elements that show it.</summary>
    internal static class StateMark
    {
        internal static void Set(VisualElement box, Label name, RowState state)
        {
            Only(box, Wording.StateClasses, Wording.StateClass(state));
            name.text = Wording.State(state);
            box.tooltip = Wording.StateHelp(state);
        }

        /// <summary>Leaves one class of a group on an element.</summary>
        internal static void Only(VisualElement element, string[] group, string kept)
        {
            foreach (string each in group)
            {
                element.EnableInClassList(each, each == kept);
            }
        }
    }
}
