// All builds that are on their way, and what becomes of each.
using System;
using System.Collections.Generic;
using System.IO;
using Thumbforge.Editor.Native;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>What others do before and after a build; the assembly for Localization hooks in here.</summary>
    internal static class BuildHooks
    {
        /// <summary>Called with the manifest's folder before it is read for a build; not where somebody only looks.</summary>
        internal static readonly List<Action<string>> BeforeBuild = new List<Action<string>>();
        /// <summary>
        /// Called with every picture of the build that is an asset, made now or before, after the editing scope has closed.
        /// </summary>
        internal static readonly List<Action<IReadOnlyList<ImportedThumbnail>>> AfterImport =
            new List<Action<IReadOnlyList<ImportedThumbnail>>>();
    }

    /// <summary>
    /// Carries builds out. Main thread only, and without waiting: every step begins when an answer has come.
    /// <code>
    /// Start ─► plan ─► MakeEditable ─► build ─► import ─► hooks ─► ended
    ///            └──────── a survey or a check ends here ─────────┘
    /// </code>
    /// </summary>
    internal static class Builds
    {
        [Serializable]
        private sealed class Saved
        {
            public List<Build> builds = new List<Build>();
        }

        private const string SavedKey = "Thumbforge.Builds";
        /// <summary>Seconds between two looks at how far builds are; people see no difference to every frame.</summary>
        private const double LookEvery = 0.1;

        private static readonly List<Build> open = new List<Build>();
        private static double nextLook;
        /// <summary>Whether what scripts before a reload left has been read.</summary>
        private static bool restored;

        /// <summary>Builds that are on their way.</summary>
        internal static IReadOnlyList<Build> Open
        {
            get { return open; }
        }

        /// <summary>A picture of a build changed its state.</summary>
        internal static event Action<Build, EventJson> Told;
        /// <summary>A build has ended; listeners that show it.</summary>
        internal static event Action<BuildResult> Ended;

        internal static string FileOf(string id, string suffix)
        {
            return Path.Combine(Installation.LibraryFolder, "Builds", id + suffix);
        }

        /// <summary>Begins a build.</summary>
        /// <exception cref="ThumbforgeException">When it could not be begun; nothing is on its way then.</exception>
        internal static Build Start(Build build, Action<BuildResult> ended)
        {
            Connection connection = Host.Connection;
            Tidy(Directory.CreateDirectory(Path.Combine(Installation.LibraryFolder, "Builds")));
            if (build.junit.Length > 0)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(build.junit));
            }
            build.ended = ended;
            // Whoever only looks changes no file.
            for (int at = 0; at < BuildHooks.BeforeBuild.Count && !build.OnlyPlans; at++)
            {
                BuildHooks.BeforeBuild[at](build.manifest);
            }
            Send(connection, build);
            if (build.kind != BuildKind.Survey)
            {
                build.progress = Progress.Start(Title(build), "Planning", Progress.Options.Unmanaged);
                OfferCancel(build);
                Save();
            }
            return build;
        }

        /// <summary>Removes what editors that died left; no build takes a week.</summary>
        private static void Tidy(DirectoryInfo folder)
        {
            foreach (FileInfo file in folder.GetFiles())
            {
                if (DateTime.UtcNow - file.LastWriteTimeUtc > TimeSpan.FromDays(7))
                {
                    file.Delete();
                }
            }
        }

        private static string Title(Build build)
        {
            return build.kind == BuildKind.Draft ? "Thumbforge: drafts" : "Thumbforge: thumbnails";
        }

        private static void OfferCancel(Build build)
        {
            Progress.RegisterCancelCallback(build.progress, () =>
            {
                Cancel(build);
                return true;
            });
        }

        private static void Send(Connection connection, Build build)
        {
            ulong tag = connection.NewTag(CallKind.Command);
            build.tag = tag.ToString();
            var call = Follow(build);
            connection.Send(call, tag, build.Command());
            build.job = call.Job;
            if (build.cancelled)
            {
                // Somebody took the build back while this was on its way.
                NativeJob.Cancel(build.job);
            }
            if (!open.Contains(build))
            {
                open.Add(build);
            }
            Save();
        }

        private static CommandCall Follow(Build build)
        {
            return new CommandCall((answer, failure) => Answered(build, answer, failure));
        }

        /// <summary>Takes a build back. What is made already stays and is imported.</summary>
        internal static void Cancel(Build build)
        {
            build.cancelled = true;
            NativeJob.Cancel(build.job);
        }

        private static void Answered(Build build, CommandJson answer, ThumbforgeException failure)
        {
            bool planned = build.phase == BuildPhase.Planning && !build.OnlyPlans;
            ReportJson report = ReadReport(build);
            // What was planned is not what was made: whoever waits for a build is never told the plan.
            var result = new BuildResult { Build = build, Report = planned ? null : report };
            if (failure != null)
            {
                Settle(result, failure);
                return;
            }
            result.Exit = answer.exit;
            result.Message = Words(answer);
            result.Code = answer.errors == null || answer.errors.Length == 0 ? string.Empty : answer.errors[0].code;
            // A plan that names failures is still a plan: the build says which of them remain.
            bool usable = report != null && (answer.exit == ExitCodes.Done || answer.exit == ExitCodes.Failed);
            if (!planned || !usable)
            {
                Settle(result);
                return;
            }
            try
            {
                Remove(build.ReportFile);
                Prepare(build, report);
                if (build.cancelled)
                {
                    throw new ThumbforgeException("cancelled", "cancelled before anything was made");
                }
                build.phase = BuildPhase.Building;
                Send(Host.Connection, build);
            }
            catch (Exception fault)
            {
                Settle(result, Known(fault));
            }
        }

        /// <summary>What ends a build as a failure of ours; one that nobody foresaw is logged with its trace.</summary>
        private static ThumbforgeException Known(Exception fault)
        {
            var known = fault as ThumbforgeException;
            if (known == null)
            {
                Debug.LogException(fault);
                string code = fault is IOException || fault is UnauthorizedAccessException ? "output_file" : "internal";
                known = new ThumbforgeException(code, fault.Message);
            }
            return known;
        }

        /// <summary>Before any picture is paid for: which are meant, and which version control lets be written.</summary>
        private static void Prepare(Build build, ReportJson plan)
        {
            if (build.paths.Length > 0)
            {
                build.only = Meant(build, plan);
                if (build.only.Length == 0)
                {
                    throw new ThumbforgeException("not_found", "the manifest " + build.manifest
                        + " makes none of the selected textures; add them to it, or select others");
                }
            }
            if (build.kind == BuildKind.Draft)
            {
                return;
            }
            var files = new List<string>();
            var outputs = new Dictionary<string, string>();
            var meant = new HashSet<string>(build.only);
            ItemJson[] written = Array.FindAll(plan.items, item => (item.state == "planned" || item.state == "cached")
                && (meant.Count == 0 || meant.Contains(item.path)));
            build.planned = Array.ConvertAll(written, item => item.path);
            foreach (ItemJson item in written)
            {
                string path = AssetPath(build, item);
                if (path != null && File.Exists(path))
                {
                    files.Add(path);
                    outputs[path] = item.path;
                }
            }
            string lockPath = Importer.AssetPath(Path.Combine(build.manifest, "thumbforge.lock"));
            if (files.Count > 0 && lockPath != null && File.Exists(lockPath))
            {
                // Where it cannot be written, the build says so before it draws anything.
                files.Add(lockPath);
            }
            var locked = new List<string>();
            if (files.Count > 0 && !AssetDatabase.MakeEditable(files.ToArray(), null, locked))
            {
                build.except = locked.FindAll(outputs.ContainsKey).ConvertAll(path => outputs[path]).ToArray();
            }
        }

        private static string[] Meant(Build build, ReportJson plan)
        {
            var paths = new HashSet<string>(build.paths);
            var meant = new List<string>();
            foreach (ItemJson item in plan.items)
            {
                // Drafts lie elsewhere; the selection is of finals.
                string path = AssetPath(build, item);
                if (path != null && paths.Contains(path))
                {
                    meant.Add(item.path);
                }
            }
            return meant.ToArray();
        }

        /// <summary>
        /// The asset of a picture. It is found from the manifest's folder as the project names it: the sidecar's reports
        /// have the folder behind links and substituted drives, which is no folder of this project to Unity.
        /// </summary>
        private static string AssetPath(Build build, ItemJson item)
        {
            return Importer.AssetPath(Path.Combine(build.manifest, item.path));
        }

        /// <summary>The report; null where there is none that can be read.</summary>
        private static ReportJson ReadReport(Build build)
        {
            string file = build.ReportFile;
            try
            {
                return File.Exists(file) ? JsonUtility.FromJson<ReportJson>(File.ReadAllText(file)) : null;
            }
            catch (Exception fault) when (fault is ArgumentException || fault is IOException || fault is UnauthorizedAccessException)
            {
                Debug.LogException(fault);
                return null;
            }
        }

        private static void Remove(string file)
        {
            try
            {
                File.Delete(file);
            }
            catch (Exception fault) when (fault is IOException || fault is UnauthorizedAccessException)
            {
                // Somebody reads it; what is left is removed a week later.
            }
        }

        private static string Words(CommandJson answer)
        {
            if (answer.errors == null || answer.errors.Length == 0)
            {
                return answer.message ?? string.Empty;
            }
            return string.Join("\n", Array.ConvertAll(answer.errors, error => error.message));
        }

        private static void Settle(BuildResult result, ThumbforgeException failure)
        {
            result.Exit = ExitCodes.Of(failure.Code);
            result.Code = failure.Code;
            result.Message = failure.Message;
            Settle(result);
        }

        /// <summary>The end of a build, however it came. Whatever is thrown on the way, whoever waits for it is told.</summary>
        private static void Settle(BuildResult result)
        {
            Build build = result.Build;
            open.Remove(build);
            Save();
            build.cancelling.Dispose();
            ReadEvents(build);
            if (build.phase == BuildPhase.Building && build.kind == BuildKind.Regenerate && result.Report != null)
            {
                Step(result, () => Import(result));
                foreach (Action<IReadOnlyList<ImportedThumbnail>> hook in BuildHooks.AfterImport)
                {
                    Step(result, () => hook(result.There));
                }
            }
            if (!string.IsNullOrEmpty(build.reportTo) && File.Exists(build.ReportFile))
            {
                Step(result, () => HandOver(build));
            }
            Finish(result);
            Remove(build.EventsPath);
            Remove(build.ReportFile);
        }

        /// <summary>A step that fails is a failed build, and no reason to leave out the others.</summary>
        private static void Step(BuildResult result, Action step)
        {
            try
            {
                step();
            }
            catch (Exception fault)
            {
                ThumbforgeException known = Known(fault);
                if (result.Exit == ExitCodes.Done)
                {
                    result.Exit = ExitCodes.Failed;
                    result.Code = known.Code;
                    result.Message = known.Message;
                }
            }
        }

        private static void HandOver(Build build)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(build.reportTo));
            File.Copy(build.ReportFile, build.reportTo, true);
        }

        private static void Import(BuildResult result)
        {
            var planned = new HashSet<string>(result.Build.planned);
            foreach (ItemJson item in result.Report.items)
            {
                bool isThere = item.state == "done" || item.state == "unchanged" || item.state == "stale";
                string path = isThere ? AssetPath(result.Build, item) : null;
                if (path == null)
                {
                    continue;
                }
                // What a sidecar wrote before it died is unchanged for the one that went on with the build.
                bool written = item.state == "done" || planned.Contains(item.path);
                ImportedThumbnail picture = written ? Written(item, path) : OfItem(item, path);
                result.There.Add(picture);
                if (written)
                {
                    result.Imported.Add(picture);
                }
            }
            Importer.Import(result.Imported);
        }

        private static ImportedThumbnail OfItem(ItemJson item, string path)
        {
            return new ImportedThumbnail
            {
                Asset = item.asset, Locale = item.locale, Path = path, Key = item.realised_key, Engine = item.engine,
            };
        }

        /// <summary>The report of a build that adopted a file does not say what drew it; the file does.</summary>
        private static ImportedThumbnail Written(ItemJson item, string path)
        {
            ImportedThumbnail picture = OfItem(item, path);
            PngProvenance said = string.IsNullOrEmpty(item.engine) ? PngProvenance.Read(path) : null;
            if (said != null)
            {
                picture.Key = said.realised_key;
                picture.Engine = said.engine;
            }
            return picture;
        }

        private static void Finish(BuildResult result)
        {
            Build build = result.Build;
            if (build.progress >= 0 && Progress.Exists(build.progress))
            {
                Progress.Finish(build.progress, result.Exit == ExitCodes.Done ? Progress.Status.Succeeded
                    : result.Exit == ExitCodes.Interrupted ? Progress.Status.Canceled : Progress.Status.Failed);
            }
            Notify(result);
        }

        private static void Notify(BuildResult result)
        {
            if (result.Build.kind == BuildKind.Draft)
            {
                // Scripts were reloaded and the window is closed: the board that keeps drafts is made now.
                Attempt(() => EditorActions.Board.ToString());
            }
            foreach (Action<BuildResult> listener in new[] { result.Build.ended, Ended })
            {
                foreach (Delegate one in listener == null ? new Delegate[0] : listener.GetInvocationList())
                {
                    Attempt(() => ((Action<BuildResult>)one)(result));
                }
            }
        }

        /// <summary>What a listener does wrong must not hold up the others.</summary>
        private static void Attempt(Action listener)
        {
            try
            {
                listener();
            }
            catch (Exception fault)
            {
                Debug.LogException(fault);
            }
        }

        /// <summary>Looks how far builds are.</summary>
        internal static void Frame(Connection connection)
        {
            if (open.Count == 0 || EditorApplication.timeSinceStartup < nextLook)
            {
                return;
            }
            nextLook = EditorApplication.timeSinceStartup + LookEvery;
            for (int at = 0; at < open.Count; at++)
            {
                Look(open[at]);
            }
        }

        private static void Look(Build build)
        {
            TfProgress progress;
            if (build.phase != BuildPhase.Building || !NativeJob.TryProgress(build.job, out progress) || progress.steps == 0)
            {
                return;
            }
            ReadEvents(build);
            if (build.done == (int)progress.step && build.all == (int)progress.steps)
            {
                return;
            }
            build.done = (int)progress.step;
            build.all = (int)progress.steps;
            if (build.progress >= 0)
            {
                Progress.Report(build.progress, build.done, build.all, build.done + " of " + build.all);
            }
            if (build.watcher != null)
            {
                build.watcher.Report(new RegenerationProgress(build.done, build.all));
            }
        }

        private static void ReadEvents(Build build)
        {
            if (build.phase != BuildPhase.Building || Told == null)
            {
                return;
            }
            build.events = build.events ?? new EventsFile(build.EventsPath);
            while (build.events.Read(said => Attempt(() => Told(build, said))))
            {
            }
        }

        /// <summary>Keeps builds for the scripts that come after a reload, which may come without notice.</summary>
        private static void Save()
        {
            SessionState.SetString(SavedKey, JsonUtility.ToJson(new Saved { builds = open }));
        }

        /// <summary>Leaves every build to the scripts that come after a reload.</summary>
        internal static void Leave()
        {
            Save();
            open.Clear();
        }

        /// <summary>The call that follows a command of scripts before a reload.</summary>
        internal static Call Adopted(ulong tag, ulong job)
        {
            Restore();
            Build build = open.Find(one => one.tag == tag.ToString());
            if (build == null)
            {
                // A decision, perhaps: whoever made it was unloaded, and what it changed is seen by looking.
                return new CommandCall((answer, failure) => EditorActions.LookAgain());
            }
            build.job = job;
            return Follow(build);
        }

        private static void Restore()
        {
            string saved = restored ? string.Empty : SessionState.GetString(SavedKey, string.Empty);
            restored = true;
            if (saved.Length > 0)
            {
                open.AddRange(JsonUtility.FromJson<Saved>(saved).builds);
            }
        }

        /// <summary>After the session is open: builds whose command it does not know are asked again; builds are idempotent.</summary>
        internal static void Resume(Connection connection)
        {
            Restore();
            foreach (Build build in open.ToArray())
            {
                if (build.progress >= 0 && Progress.Exists(build.progress))
                {
                    OfferCancel(build);
                }
                if (build.job == 0)
                {
                    Ask(connection, build);
                }
            }
        }

        private static void Ask(Connection connection, Build build)
        {
            try
            {
                Send(connection, build);
            }
            catch (ThumbforgeException stopped)
            {
                Settle(new BuildResult { Build = build }, stopped);
            }
        }
    }
}
