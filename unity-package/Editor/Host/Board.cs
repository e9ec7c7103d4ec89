// Everything that the window shows: what the manifest wants, what is there, what is on its way, what waits for a decision.
using System;
using System.Collections.Generic;
using System.IO;
using Thumbforge.Editor.Native;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>The board of this project. Rows come from reports and drafts, and follow the events of builds.</summary>
    internal sealed class Board : IBoard
    {
        private readonly Dictionary<string, Row> byId = new Dictionary<string, Row>(StringComparer.Ordinal);
        private readonly Dictionary<string, Row> byOutput = new Dictionary<string, Row>(StringComparer.Ordinal);
        private readonly List<Row> rows = new List<Row>();
        private readonly Drafts drafts = new Drafts();
        private readonly System.Random random = new System.Random();
        private LinkState link;
        private string linkMessage = string.Empty;
        private string busy = string.Empty;
        private int busyDone;
        private int busyAll;
        private Build busyBuild;
        private double nextLook;
        private bool surveyed;
        /// <summary>Whether files are looked at again after the look that goes on.</summary>
        private bool lookAgain;

        internal Board()
        {
            Builds.Told += Told;
            Builds.Ended += Ended;
            foreach (Draft draft in drafts.All)
            {
                ShowDraft(draft);
            }
        }

        public IReadOnlyList<Row> Rows
        {
            get { return rows; }
        }

        public int Version { get; private set; }

        public LinkState Link
        {
            get { return link; }
        }

        public string LinkMessage
        {
            get { return linkMessage; }
        }

        public bool HasManifest
        {
            get { return Manifests.Exists; }
        }

        public string Busy
        {
            get { return busy; }
        }

        public string Trouble { get; private set; } = string.Empty;

        public void Accept(Row row)
        {
            Decide(row, "accepted", string.Empty);
        }

        public void Reject(Row row, string reason)
        {
            if (row.DraftFile.Length > 0)
            {
                // What never came into the project needs no line in it.
                drafts.Remove(row);
                row.DraftFile = string.Empty;
                row.State = row.FinalFile.Length > 0 ? RowState.Done : RowState.Missing;
                row.Message = "draft rejected: " + reason;
                // What the row says of seed, pixels and decisions was the draft's.
                row.Pixels = string.Empty;
                Version++;
                Refresh();
                return;
            }
            Decide(row, "rejected", reason);
        }

        private void Decide(Row row, string decision, string note)
        {
            string folder = Manifests.Folder(null);
            bool draft = row.DraftFile.Length > 0;
            string file = Path.Combine(folder, "thumbforge.approvals");
            string path = Importer.AssetPath(file);
            if (path != null && File.Exists(file) && !AssetDatabase.MakeEditable(path))
            {
                Say("version control does not let " + path + " be written");
                return;
            }
            var json = new JsonText()
                .Add("verb", "approve")
                .Add("manifest", folder)
                .Add("asset", row.Asset)
                .Add("locale", row.Locale)
                .Add("decision", decision)
                .Add("person", UserSettings.Person)
                .Add("role", UserSettings.Role)
                .Add("note", note)
                .Add("pixels", row.Pixels)
                .Add("from", draft ? Installation.DraftsFolder : null);
            Command(json.ToString(), answer => Decided(row, draft, answer));
        }

        private void Decided(Row row, bool draft, CommandJson answer)
        {
            if (answer.exit != ExitCodes.Done)
            {
                Say(answer.message);
                // It may have changed since it was looked at; then it is shown as it is now.
                Refresh();
                return;
            }
            if (draft)
            {
                Draft accepted = drafts.Of(row);
                string path = Importer.AssetPath(Path.Combine(Manifests.Folder(null), row.Path));
                if (accepted != null && path != null)
                {
                    Importer.Import(new[]
                    {
                        new ImportedThumbnail
                        {
                            Asset = row.Asset, Locale = row.Locale, Path = path,
                            Key = accepted.item.realised_key, Engine = accepted.item.engine,
                        },
                    });
                }
                drafts.Remove(row);
                row.DraftFile = string.Empty;
            }
            Refresh();
        }

        public void Reroll(Row row)
        {
            // Seeds of drafts are small enough to be typed by a person.
            Draw(row, random.Next(1, int.MaxValue));
        }

        private void Draw(Row row, long seed)
        {
            Begin(new Build
            {
                kind = BuildKind.Draft, assets = new[] { row.Asset }, locales = Locales(row), seed = seed, interactive = true,
            });
        }

        private static string[] Locales(Row row)
        {
            return row.Locale.Length > 0 ? new[] { row.Locale } : new string[0];
        }

        public void Promote(Row row)
        {
            Draft draft = drafts.Of(row);
            if (draft == null)
            {
                return;
            }
            // All locales of an asset share one seed, so that they show the same picture under their words.
            Begin(new Build
            {
                assets = new[] { row.Asset }, tier = "production", seed = draft.item.seed, keepSeed = true, interactive = true,
            });
        }

        public void Cancel(Row row)
        {
            string json = new JsonText()
                .Add("verb", "cancel")
                .Add("manifest", Manifests.Folder(null))
                .Add("asset", row.Asset)
                .Add("locale", row.Locale)
                .ToString();
            Command(json, answer => { });
        }

        public void CancelAll()
        {
            foreach (Build build in new List<Build>(Builds.Open))
            {
                Builds.Cancel(build);
            }
        }

        public void RegenerateAll()
        {
            Begin(new Build { interactive = true });
        }

        public void Refresh()
        {
            // People decide faster than a large project is looked through: one look more is enough for all that came meanwhile.
            lookAgain = Surveys();
            if (HasManifest && !lookAgain)
            {
                Begin(new Build { kind = BuildKind.Survey, dryRun = true });
            }
        }

        private static bool Surveys()
        {
            for (int at = 0; at < Builds.Open.Count; at++)
            {
                if (Builds.Open[at].kind == BuildKind.Survey)
                {
                    return true;
                }
            }
            return false;
        }

        /// <summary>Begins a build of the project's manifest, and says on the board what stands in the way.</summary>
        internal void Begin(Build build)
        {
            build.manifest = Manifests.Folder(null);
            // A look at the files follows many a decision; what went wrong with that must stay to be read.
            Trouble = build.kind == BuildKind.Survey ? Trouble : string.Empty;
            Try(() => Builds.Start(build, null));
        }

        public void RequestPreview(string file, int sideMax, Action<Texture2D> ready)
        {
            string json = new JsonText().Add("verb", "preview").Add("file", file).Add("side_max", sideMax).ToString();
            bool sent = Try(() =>
            {
                Connection connection = Host.Connection;
                connection.Send(new PreviewCall(ready), connection.NewTag(CallKind.Preview), json);
            });
            if (!sent)
            {
                // Whoever counts those on their way would wait for ever.
                ready(null);
            }
        }

        private void Command(string json, Action<CommandJson> done)
        {
            Trouble = string.Empty;
            Try(() =>
            {
                Connection connection = Host.Connection;
                var call = new CommandCall((answer, failure) =>
                {
                    if (failure != null)
                    {
                        Say(failure.Message);
                        return;
                    }
                    done(answer);
                });
                connection.Send(call, connection.NewTag(CallKind.Command), json);
            });
        }

        private bool Try(Action action)
        {
            try
            {
                action();
                return true;
            }
            catch (ThumbforgeException failure)
            {
                Say(failure.Message);
                if (failure.Code == "no_sidecar" || failure.Code == "abi_mismatch")
                {
                    SetLink(failure.Code == "no_sidecar" ? LinkState.NoProgram : LinkState.OldLibrary, failure.Message);
                }
                return false;
            }
        }

        private void Say(string trouble)
        {
            Trouble = trouble ?? string.Empty;
            Version++;
        }

        private void SetLink(LinkState state, string message)
        {
            if (state != link || message != linkMessage)
            {
                link = state;
                linkMessage = message;
                Version++;
            }
        }

        /// <summary>A quarter of a second is what people take for at once.</summary>
        private const double LookEvery = 0.25;

        public void Tick()
        {
            if (EditorApplication.timeSinceStartup < nextLook)
            {
                return;
            }
            nextLook = EditorApplication.timeSinceStartup + LookEvery;
            if (!surveyed)
            {
                // Somebody looks for the first time.
                surveyed = true;
                Refresh();
            }
            LookAtLink();
            LookAtBuilds();
        }

        private void LookAtLink()
        {
            if (Host.Existing == null)
            {
                return;
            }
            TfSessionState state = Host.Existing.State();
            if (state.link == NativeMethods.TF_LINK_ATTACHED)
            {
                SetLink(LinkState.Attached, string.Empty);
            }
            else if (state.link == NativeMethods.TF_LINK_DOWN)
            {
                SetLink(LinkState.Down, Host.Existing.Trouble());
            }
            else
            {
                SetLink(LinkState.Connecting, "looking for the sidecar, or starting one");
            }
        }

        private void LookAtBuilds()
        {
            Build build = null;
            // By index: an enumerator of an interface is an allocation.
            for (int at = 0; at < Builds.Open.Count; at++)
            {
                build = Builds.Open[at].kind == BuildKind.Survey ? build : Builds.Open[at];
            }
            if (build == busyBuild && (build == null || (build.done == busyDone && build.all == busyAll)))
            {
                return;
            }
            busyBuild = build;
            busyDone = build == null ? 0 : build.done;
            busyAll = build == null ? 0 : build.all;
            string what = build != null && build.kind == BuildKind.Draft ? "Drawing drafts" : "Regenerating";
            busy = build == null ? string.Empty : busyAll == 0 ? what : what + ": " + busyDone + " of " + busyAll;
            Version++;
        }

        private void Told(Build build, EventJson said)
        {
            Version++;
            foreach (ItemJson item in said.@event == "begin" && said.items != null ? said.items : new ItemJson[0])
            {
                RowOf(item).State = RowState.Queued;
            }
            Row row;
            if (said.@event == "state" && byOutput.TryGetValue(said.path, out row))
            {
                row.State = Row.StateOf(said.state);
                row.Progress = said.steps > 0 ? (float)said.step / said.steps : -1;
            }
            else if (said.@event == "ended" && said.item != null)
            {
                row = RowOf(said.item);
                row.Take(said.item);
                row.State = build.kind == BuildKind.Draft && said.item.state == "done" ? RowState.Draft : Row.StateOf(said.item.state);
                row.Progress = 1;
            }
        }

        private void Ended(BuildResult result)
        {
            Version++;
            if (result.Build.kind == BuildKind.Survey && lookAgain)
            {
                Refresh();
            }
            if (result.Build.kind != BuildKind.Survey || result.Exit != ExitCodes.Done)
            {
                Trouble = result.Exit == ExitCodes.Done || result.Exit == ExitCodes.Interrupted ? string.Empty : result.Message;
            }
            if (result.Report == null || result.Report.items == null)
            {
                if (result.Build.kind != BuildKind.Survey)
                {
                    // Rows that were told to be on their way are not.
                    Refresh();
                }
                return;
            }
            if (result.Build.kind == BuildKind.Draft)
            {
                drafts.Add(result.Report);
                foreach (Draft draft in drafts.All)
                {
                    ShowDraft(draft);
                }
                return;
            }
            if (result.Build.kind == BuildKind.Survey)
            {
                Forget(result.Report);
            }
            foreach (ItemJson item in result.Report.items)
            {
                if (result.Build.keepSeed)
                {
                    ForgetPromoted(result.Build, item);
                }
                Show(result.Report, item);
            }
            Order();
            EditorActions.AskAboutKept(result);
        }

        /// <summary>A draft that has become the final waits for no decision: the final does, and it has other pixels.</summary>
        private void ForgetPromoted(Build promotion, ItemJson item)
        {
            Row row = RowOf(item);
            Draft draft = drafts.Of(row);
            bool made = item.state == "done" || item.state == "unchanged";
            if (draft != null && made && draft.item.seed == promotion.seed)
            {
                row.DraftFile = string.Empty;
                drafts.Remove(row);
            }
        }

        /// <summary>
        /// A draft whose very pixels lie in its place and are accepted waits for no decision. Scripts may have been reloaded before
        /// they heard of it.
        /// </summary>
        private void ForgetAccepted(Row row, ItemJson item)
        {
            Draft draft = drafts.Of(row);
            bool accepted = item.approval != null && item.approval.state == "accepted";
            if (draft != null && accepted && !string.IsNullOrEmpty(item.pixels) && item.pixels == draft.item.pixels)
            {
                row.DraftFile = string.Empty;
                drafts.Remove(row);
            }
        }

        /// <summary>Rows that the manifest no longer has go.</summary>
        private void Forget(ReportJson survey)
        {
            var wanted = new HashSet<string>(StringComparer.Ordinal);
            foreach (ItemJson item in survey.items)
            {
                wanted.Add(Row.IdOf(item.asset, item.locale));
            }
            rows.RemoveAll(row => row.DraftFile.Length == 0 && !wanted.Contains(row.Id));
            byId.Clear();
            byOutput.Clear();
            foreach (Row row in rows)
            {
                byId[row.Id] = row;
                byOutput[row.Path] = row;
            }
        }

        private void Show(ReportJson report, ItemJson item)
        {
            Row row = RowOf(item);
            string file = Path.GetFullPath(Path.Combine(report.root, item.path));
            row.FinalFile = File.Exists(file) ? file : string.Empty;
            ForgetAccepted(row, item);
            if (row.DraftFile.Length > 0)
            {
                // The draft waits for a decision; what is said of the final comes back with it.
                row.State = RowState.Draft;
                return;
            }
            row.Take(item);
            row.State = Row.StateOf(item.state);
            if (row.State == RowState.Missing && row.FinalFile.Length > 0)
            {
                row.State = RowState.Outdated;
            }
            row.Progress = -1;
        }

        private void ShowDraft(Draft draft)
        {
            Row row = RowOf(draft.item);
            row.Take(draft.item);
            row.DraftFile = draft.file;
            row.State = RowState.Draft;
            Version++;
        }

        private Row RowOf(ItemJson item)
        {
            string id = Row.IdOf(item.asset ?? string.Empty, item.locale ?? string.Empty);
            Row row;
            if (!byId.TryGetValue(id, out row))
            {
                row = new Row { Id = id, Asset = item.asset ?? string.Empty, Locale = item.locale ?? string.Empty };
                byId[id] = row;
                rows.Add(row);
            }
            row.Path = item.path ?? string.Empty;
            byOutput[row.Path] = row;
            return row;
        }

        private void Order()
        {
            rows.Sort((a, b) => string.CompareOrdinal(a.Id, b.Id));
        }
    }
}
