// The line under the toolbar: the link to the sidecar, and what went wrong just now. The footer has the quiet rest.
using System;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Says what the person can do, with a button where one helps; takes no room while all is well.</summary>
    internal sealed class StatusStrip
    {
        private readonly VisualElement strip, footerShape;
        private readonly Label text, footerKeys, footerLink, footerCount, footerBusy, footerCost;
        private readonly Button action, dismiss;
        private string failure = string.Empty;
        private string trouble = string.Empty;
        private LinkState link = LinkState.Attached;
        private string linkMessage = string.Empty;

        /// <param name="root">The window.</param>
        /// <param name="act">Does what the button says for the link of now.</param>
        internal StatusStrip(VisualElement root, Action<LinkState> act)
        {
            strip = root.Q<VisualElement>("strip");
            text = root.Q<Label>("strip-text");
            action = root.Q<Button>("strip-action");
            action.clicked += () => act(link);
            dismiss = root.Q<Button>("strip-dismiss");
            dismiss.clicked += () => Fail(string.Empty);
            footerShape = root.Q<VisualElement>("footer-link-shape");
            footerLink = root.Q<Label>("footer-link");
            footerCount = root.Q<Label>("footer-count");
            footerBusy = root.Q<Label>("footer-busy");
            footerKeys = root.Q<Label>("footer-keys");
            footerCost = root.Q<Label>("footer-cost");
        }

        /// <summary>Shows what an action failed with, until it is dismissed; an empty sentence hides it.</summary>
        internal void Fail(string sentence)
        {
            failure = sentence;
            Draw();
        }

        internal void Update(IBoard board)
        {
            link = board.Link;
            linkMessage = board.LinkMessage;
            // The board goes on saying what went wrong last; once dismissed it is not shown again.
            if (board.Trouble != trouble)
            {
                trouble = board.Trouble;
                failure = trouble;
            }
            Draw();
            DrawFooter(board);
        }

        private void Draw()
        {
            bool failed = failure.Length > 0;
            bool linked = link == LinkState.Attached || link == LinkState.Idle;
            UiFiles.Show(strip, failed || !linked);
            strip.EnableInClassList("tf-strip--bad", failed || link == LinkState.OldLibrary
                || link == LinkState.NoProgram);
            strip.EnableInClassList("tf-strip--calm", !failed && link == LinkState.Connecting);
            text.text = failed ? failure : linkMessage.Length > 0 ? linkMessage : Wording.Link(link);
            action.text = failed ? string.Empty : Wording.LinkAction(link);
            action.tooltip = Wording.LinkActionHelp(link);
            UiFiles.Show(action, action.text.Length > 0);
            UiFiles.Show(dismiss, failed);
        }

        private void DrawFooter(IBoard board)
        {
            StateMark.Only(footerShape, Wording.LinkClasses, Wording.LinkClass(link));
            footerLink.text = Wording.Link(link);
            footerLink.tooltip = linkMessage;
            bool any = board.Rows.Count > 0;
            UiFiles.Show(footerCount, any);
            UiFiles.Show(footerKeys, any);
            UiFiles.Show(footerCost, any);
            footerCount.text = Wording.Counts(board.Rows);
            footerBusy.text = board.Busy;
            footerCost.text = Wording.Total(board.Rows);
        }
    }
}
