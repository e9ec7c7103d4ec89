// The selected picture: draft beside final, what can be done with it, what the checks found and where it came from.
using System;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Shows one row and offers what it allows.</summary>
    internal sealed class DetailsView
    {
        private const int PreviewSide = 1024;

        private static readonly string[] ApprovalClasses =
        {
            "tf-approval--accepted", "tf-approval--rejected", "tf-approval--void",
        };

        private readonly VisualElement none, some, stateBox, compare;
        private readonly Label title, locale, state, path, notice, draftNone, finalNone, approval;
        private readonly Button accept, reject, reroll, promote, cancel;
        private readonly PreviewSlot draft, final;
        private readonly RejectForm rejectForm;
        private readonly Provenance provenance;
        private readonly Checks checks;
        private Row row;

        internal DetailsView(VisualElement root, RowActions actions, PreviewCache previews)
        {
            VisualElement pane = root.Q<VisualElement>("details");
            UiFiles.Fill(pane, "Details.uxml");
            none = pane.Q<VisualElement>("none");
            some = pane.Q<VisualElement>("some");
            title = pane.Q<Label>("title");
            locale = pane.Q<Label>("locale");
            stateBox = pane.Q<VisualElement>("state-box");
            state = pane.Q<Label>("state");
            path = pane.Q<Label>("path");
            notice = pane.Q<Label>("notice");
            compare = pane.Q<VisualElement>("compare");
            draftNone = pane.Q<Label>("draft-none");
            finalNone = pane.Q<Label>("final-none");
            approval = pane.Q<Label>("approval");
            draft = new PreviewSlot(previews, pane.Q<Image>("draft"), PreviewSide);
            final = new PreviewSlot(previews, pane.Q<Image>("final"), PreviewSide);
            Enlarge(pane.Q<VisualElement>("draft-figure"), "tf-compare--draft");
            Enlarge(pane.Q<VisualElement>("final-figure"), "tf-compare--final");
            accept = Button(pane, "accept", () => actions.Accept(row));
            reject = Button(pane, "reject", AskWhy);
            reroll = Button(pane, "reroll", () => actions.Reroll(row));
            promote = Button(pane, "promote", () => actions.Promote(row));
            cancel = Button(pane, "cancel", () => actions.Cancel(row));
            rejectForm = new RejectForm(pane, reason => actions.Reject(row, reason));
            provenance = new Provenance(pane);
            checks = new Checks(pane);
            Show(null);
        }

        internal Row Row
        {
            get { return row; }
        }

        /// <summary>Shows a row as it is now; null for none.</summary>
        internal void Show(Row shown)
        {
            bool another = shown == null || row == null || shown.Id != row.Id;
            row = shown;
            UiFiles.Show(none, row == null);
            UiFiles.Show(some, row != null);
            if (another)
            {
                rejectForm.Close();
                compare.EnableInClassList("tf-compare--draft", false);
                compare.EnableInClassList("tf-compare--final", false);
            }
            if (row == null)
            {
                draft.Clear();
                final.Clear();
                return;
            }
            DrawHead();
            DrawPictures();
            DrawActions();
            checks.Show(row);
            provenance.Show(row);
        }

        /// <summary>Opens the field for the reason, if the row can be rejected.</summary>
        internal void AskWhy()
        {
            if (row != null && row.CanReject)
            {
                rejectForm.Open();
            }
        }

        private void DrawHead()
        {
            title.text = row.Asset;
            title.tooltip = row.Asset;
            locale.text = row.Locale;
            UiFiles.Show(locale, !string.IsNullOrEmpty(row.Locale));
            StateMark.Set(stateBox, state, row.State);
            path.text = Wording.OrDash(row.Path);
            path.tooltip = row.Path;
            notice.text = row.Message ?? string.Empty;
            UiFiles.Show(notice, notice.text.Length > 0);
            notice.EnableInClassList("tf-notice--bad", row.State == RowState.Failed);
            approval.text = Wording.Approval(row);
            StateMark.Only(approval, ApprovalClasses, "tf-approval--" + row.Approval);
        }

        private void DrawPictures()
        {
            draft.Show(row.DraftFile);
            final.Show(row.FinalFile);
            bool hasDraft = !string.IsNullOrEmpty(row.DraftFile), hasFinal = !string.IsNullOrEmpty(row.FinalFile);
            UiFiles.Show(draftNone, !hasDraft);
            draftNone.text = Wording.IsActive(row.State) && row.Tier == "preview" ? "The draft is on its way."
                : row.CanReroll ? "No draft. Re-roll draws one." : "No draft.";
            UiFiles.Show(finalNone, !hasFinal);
            finalNone.text = Wording.IsActive(row.State) && row.Tier != "preview" ? "The final is on its way."
                : row.CanPromote ? "No final yet. Promote to Final draws it at full quality." : "No final yet.";
        }

        private void DrawActions()
        {
            accept.SetEnabled(row.CanAccept);
            reject.SetEnabled(row.CanReject);
            reroll.SetEnabled(row.CanReroll);
            promote.SetEnabled(row.CanPromote);
            UiFiles.Show(cancel, row.CanCancel);
            if (!row.CanReject)
            {
                rejectForm.Close();
            }
        }

        private void Enlarge(VisualElement figure, string only)
        {
            figure.RegisterCallback<ClickEvent>(click => compare.EnableInClassList(only,
                !compare.ClassListContains(only)));
        }

        private static Button Button(VisualElement root, string name, Action clicked)
        {
            var button = root.Q<Button>(name);
            button.clicked += clicked;
            return button;
        }
    }
}
