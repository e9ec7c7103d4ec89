// The window: its life within the editor, and what its parts tell each other.
using System;
using System.IO;
using UnityEditor;
using UnityEditor.ShortcutManagement;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Looks at the board a few times a second and redraws only when its version has changed; a window that is hidden
    /// or
    /// idle costs one comparison. The board owns all state: this window can close and open at any time.
    /// </summary>
    internal sealed class ThumbforgeWindow : EditorWindow
    {
        private const long LookEveryMs = 100;
        private const float NarrowBelow = 720;
        private const string NarrowClass = "thumbforge--narrow";

        // What Unity keeps of the window across a reload of scripts and a restart.
        [SerializeField] private RowFilter filter = new RowFilter();
        [SerializeField] private string selectedId = string.Empty;

        private IBoard board;
        private PreviewCache previews;
        private RowActions actions;
        private QueueView queue;
        private DetailsView details;
        private StatusStrip strip;
        private FilterBar filterBar;
        private VisualElement root, welcome, nothing;
        private TwoPaneSplitView split;
        private Button draftSelection, cancelAll, regenerateAll;
        private string decidedId = string.Empty;
        private int seenVersion;
        private bool seen;

        /// <summary>Opens the window, or brings it to the front.</summary>
        [MenuItem("Window/Thumbforge", false, 2200)]
        internal static void Open()
        {
            var window = GetWindow<ThumbforgeWindow>();
            window.titleContent = new GUIContent("Thumbforge");
            window.minSize = new Vector2(320, 240);
            window.Show();
        }

        // Of this window alone, so that it comes before the editor's own Ctrl+R, and can be changed in Edit >
        // Shortcuts.
        [Shortcut("Thumbforge/Re-roll", typeof(ThumbforgeWindow), KeyCode.R, ShortcutModifiers.Action)]
        private static void RerollShortcut(ShortcutArguments arguments)
        {
            var window = arguments.context as ThumbforgeWindow;
            if (window != null && window.actions != null)
            {
                window.actions.Reroll(window.details.Row);
            }
        }

        /// <summary>The board that is shown; tests put their own in before <see cref="CreateGUI"/>.</summary>
        internal IBoard Board
        {
            get { return board ?? (board = EditorActions.Board); }
            set { board = value; }
        }

        internal int Redraws { get; private set; }

        internal PreviewCache Previews
        {
            get { return previews; }
        }

        /// <summary>Found by name: Unity calls it when the window is to be filled.</summary>
        private void CreateGUI()
        {
            root = rootVisualElement;
            UiFiles.Dress(root);
            if (!UiFiles.Fill(root, "Thumbforge.uxml"))
            {
                return;
            }
            welcome = root.Q<VisualElement>("welcome");
            nothing = root.Q<VisualElement>("nothing");
            split = root.Q<TwoPaneSplitView>("split");
            previews = new PreviewCache((file, side, ready) => Board.RequestPreview(file, side, ready));
            strip = new StatusStrip(root, ActOnLink);
            actions = new RowActions(() => Board, strip.Fail);
            actions.Decided += row => decidedId = row.Id;
            queue = new QueueView(root, filter, previews);
            queue.Selected += Choose;
            details = new DetailsView(root, actions, previews);
            filterBar = new FilterBar(root, filter, Redraw);
            WindowKeys.Listen(root, actions, details);
            WireButtons();
            root.RegisterCallback<GeometryChangedEvent>(moved => SetWidth(moved.newRect.width));
            root.schedule.Execute(Look).Every(LookEveryMs);
            seen = false;
            Look();
        }

        /// <summary>Found by name.</summary>
        private void OnDisable()
        {
            if (previews != null)
            {
                previews.Dispose();
                previews = null;
            }
        }

        /// <summary>Found by name.</summary>
        private void OnSelectionChange()
        {
            if (draftSelection != null)
            {
                draftSelection.SetEnabled(Menus.HasOurs());
            }
        }

        /// <summary>Redraws if the board changed. Allocates nothing otherwise.</summary>
        internal void Look()
        {
            if (previews == null)
            {
                return;
            }
            Board.Tick();
            if (!seen || Board.Version != seenVersion)
            {
                Redraw();
            }
        }

        private void WireButtons()
        {
            regenerateAll = root.Q<Button>("regenerate-all");
            regenerateAll.clicked += RegenerateAll;
            cancelAll = root.Q<Button>("cancel-all");
            cancelAll.clicked += () => actions.Try("cancel everything", Board.CancelAll);
            draftSelection = root.Q<Button>("draft-selection");
            draftSelection.clicked += () => actions.Try("draw drafts", () => EditorActions.GenerateDraft(Menus.Ours()));
            draftSelection.SetEnabled(Menus.HasOurs());
            root.Q<Button>("clear-filters").clicked += () => filterBar.Clear();
            root.Q<Button>("make-starter").clicked += MakeStarter;
            root.Q<Button>("open-settings").clicked += OpenSettings;
            root.Q<Button>("nothing-action").clicked += RegenerateAll;
        }

        private void Redraw()
        {
            Redraws++;
            seen = true;
            seenVersion = Board.Version;
            bool manifest = Board.HasManifest, rows = Board.Rows.Count > 0, idle = string.IsNullOrEmpty(Board.Busy);
            UiFiles.Show(welcome, !manifest);
            UiFiles.Show(nothing, manifest && !rows);
            UiFiles.Show(split, manifest && rows);
            DrawNothing(idle);
            regenerateAll.SetEnabled(manifest && idle);
            cancelAll.SetEnabled(AnythingToCancel());
            strip.Update(Board);
            filterBar.Update(Board.Rows);
            // A decision takes a moment; when its row then leaves the filtered list, the next one is up.
            Row next = queue.Update(Board.Rows, selectedId, decidedId.Length > 0 && decidedId == selectedId);
            if (next != null)
            {
                selectedId = next.Id;
                decidedId = string.Empty;
            }
            details.Show(Find(selectedId));
        }

        private void DrawNothing(bool idle)
        {
            root.Q<Label>("nothing-title").text = idle ? "Nothing was drawn here yet" : Board.Busy;
            root.Q<Label>("nothing-text").text = idle
                ? "Regenerate all draws every picture that the manifest lists. What is up to date already stays as it is."
                : "Pictures appear here as they are planned.";
            var action = root.Q<Button>("nothing-action");
            action.text = "Regenerate all";
            action.tooltip = regenerateAll.tooltip;
            UiFiles.Show(action, idle);
        }

        private void Choose(Row row)
        {
            selectedId = row.Id;
            decidedId = string.Empty;
            details.Show(row);
        }

        private Row Find(string id)
        {
            if (!string.IsNullOrEmpty(id))
            {
                for (int each = 0; each < Board.Rows.Count; each++)
                {
                    if (Board.Rows[each].Id == id)
                    {
                        return Board.Rows[each];
                    }
                }
            }
            return null;
        }

        private bool AnythingToCancel()
        {
            for (int each = 0; each < Board.Rows.Count; each++)
            {
                if (Board.Rows[each].CanCancel)
                {
                    return true;
                }
            }
            return !string.IsNullOrEmpty(Board.Busy);
        }

        private void RegenerateAll()
        {
            actions.Try("regenerate", Board.RegenerateAll);
        }

        private void MakeStarter()
        {
            string folder = ThumbforgeSettings.ProjectFolder;
            bool made = actions.Try("make a starter manifest", () => StarterManifest.Write(folder,
                Path.GetFileName(folder)));
            if (made)
            {
                actions.Try("read the manifest", Board.Refresh);
                Redraw();
            }
        }

        private void ActOnLink(LinkState link)
        {
            switch (link)
            {
                case LinkState.NoProgram:
                    OpenSettings();
                    break;
                case LinkState.OldLibrary:
                    EditorApplication.OpenProject(ThumbforgeSettings.ProjectFolder);
                    break;
                default:
                    actions.Try("start the sidecar", Board.Refresh);
                    break;
            }
        }

        private static void OpenSettings()
        {
            SettingsService.OpenProjectSettings(SettingsPage.Path);
        }

        private void SetWidth(float width)
        {
            bool narrow = width < NarrowBelow;
            root.EnableInClassList(NarrowClass, narrow);
            TwoPaneSplitViewOrientation wanted = narrow ? TwoPaneSplitViewOrientation.Vertical
                : TwoPaneSplitViewOrientation.Horizontal;
            if (split.orientation != wanted)
            {
                split.orientation = wanted;
            }
        }
    }
}
