// One line of the queue; the list uses it for one row after another.
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>The elements of a line, looked up once when it is made.</summary>
    internal sealed class QueueRow
    {
        /// <summary>Twice the 44 points that it is shown at, for screens with two pixels a point.</summary>
        private const int ThumbnailSide = 96;

        private readonly VisualElement stateBox, underLine;
        private readonly Label asset, sub, locale, state, under, cost;
        private readonly ProgressBar progress;
        private readonly PreviewSlot preview;

        internal QueueRow(VisualElement root, PreviewCache previews)
        {
            asset = root.Q<Label>("asset");
            sub = root.Q<Label>("sub");
            locale = root.Q<Label>("locale");
            stateBox = root.Q<VisualElement>("state-cell");
            state = root.Q<Label>("state");
            underLine = root.Q<VisualElement>("under-line");
            under = root.Q<Label>("under");
            progress = root.Q<ProgressBar>("progress");
            progress.lowValue = 0;
            progress.highValue = 1;
            cost = root.Q<Label>("cost");
            preview = new PreviewSlot(previews, root.Q<Image>("thumb"), ThumbnailSide);
        }

        internal void Bind(Row row, bool compact)
        {
            asset.text = row.Asset;
            asset.tooltip = row.Path;
            string recipe = string.IsNullOrEmpty(row.Model) ? Wording.OrDash(row.Template) : row.Model;
            sub.text = compact && !string.IsNullOrEmpty(row.Locale) ? row.Locale + " · " + recipe : recipe;
            sub.tooltip = Wording.Model(row);
            locale.text = Wording.Locale(row.Locale);
            StateMark.Set(stateBox, state, row.State);
            bool running = Wording.IsActive(row.State) && row.Progress >= 0;
            UiFiles.Show(progress, running);
            progress.value = running ? row.Progress : 0;
            under.text = running ? Wording.Percent(row.Progress) : Wording.Subline(row);
            UiFiles.Show(underLine, under.text.Length > 0);
            under.tooltip = string.IsNullOrEmpty(row.Message) ? Wording.Approval(row) : row.Message;
            cost.text = Wording.Cost(row);
            cost.tooltip = row.CostMicrosUsd < 0 ? "The price is not known, which is not the same as free."
                : string.Empty;
            cost.EnableInClassList("tf-cell--nothing", row.CostMicrosUsd == 0);
            // A draft lies there only until it is decided, so it is what the person looks for.
            preview.Show(row.DraftFile.Length > 0 ? row.DraftFile : row.FinalFile);
        }

        /// <summary>Lets go of the preview of a row that is no longer on screen.</summary>
        internal void Unbind()
        {
            preview.Clear();
        }
    }
}
