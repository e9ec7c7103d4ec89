// The entry for build scripts and CI: one method that an editor without a person runs to its end.
using System;
using System.Diagnostics;
using System.IO;
using Thumbforge.Editor.Native;
using UnityEditor;
using UnityEngine;
using Debug = UnityEngine.Debug;

namespace Thumbforge.Editor
{
    /// <summary>
    /// For <c>-executeMethod Thumbforge.Editor.Batch.Regenerate</c>. It waits for the build, imports, and ends the editor with
    /// an exit code, so it does the same with <c>-quit</c> and without. It needs no graphics device.
    /// </summary>
    public static class Batch
    {
        /// <summary>How long a sidecar may be away before it is given up: starting one takes a tenth of a second.</summary>
        private static readonly TimeSpan AwayMax = TimeSpan.FromSeconds(15);
        /// <summary>How long a build may take to stop when its time is over: a picture that is being drawn ends first.</summary>
        private static readonly TimeSpan StopMax = TimeSpan.FromSeconds(20);
        private const int TurnMilliseconds = 20;

        /// <summary>Makes what the manifest wants, and ends the editor with the exit code.</summary>
        public static void Regenerate()
        {
            int exit = Run(Environment.GetCommandLineArgs());
            EditorApplication.Exit(exit);
        }

        /// <summary>The same without ending the editor; the exit code.</summary>
        internal static int Run(string[] commandLine)
        {
            string program = Installation.ProgramOverride, dataDirectory = Installation.DataDirectoryOverride;
            try
            {
                BatchArguments arguments = BatchArguments.Read(commandLine);
                Installation.ProgramOverride = Either(arguments.Program, program);
                Installation.DataDirectoryOverride = Either(arguments.DataDirectory, dataDirectory);
                arguments.Build.manifest = Manifests.Folder(arguments.Build.manifest);
                // Where this run writes none, nobody may take the last one's for it.
                Remove(arguments.Build.reportTo);
                Remove(arguments.Build.junit);
                BuildResult result = Follow(arguments);
                Say(result);
                return result.Exit;
            }
            catch (ThumbforgeException failure)
            {
                Debug.LogError("Thumbforge: " + failure);
                return ExitCodes.Of(failure.Code);
            }
            catch (Exception fault)
            {
                Debug.LogException(fault);
                return ExitCodes.Failed;
            }
            finally
            {
                // Nothing may be on its way when the editor ends.
                Host.Quit();
                Installation.ProgramOverride = program;
                Installation.DataDirectoryOverride = dataDirectory;
            }
        }

        private static void Remove(string file)
        {
            if (File.Exists(file))
            {
                File.Delete(file);
            }
        }

        private static string Either(string first, string second)
        {
            return string.IsNullOrEmpty(first) ? second : first;
        }

        private static BuildResult Follow(BatchArguments arguments)
        {
            BuildResult result = null;
            Stopwatch running = Stopwatch.StartNew();
            Stopwatch away = Stopwatch.StartNew();
            Build build = Builds.Start(arguments.Build, ended => result = ended);
            while (result == null)
            {
                Host.Turn(TurnMilliseconds);
                CheckSidecar(away);
                if (result == null && arguments.Timeout.HasValue && running.Elapsed > arguments.Timeout.Value)
                {
                    return TimedOut(build, arguments.Timeout.Value, () => result);
                }
            }
            return result;
        }

        /// <summary>A sidecar that does not come is given up; one that died is replaced, and the build goes on.</summary>
        private static void CheckSidecar(Stopwatch away)
        {
            if (Host.Existing == null)
            {
                return;
            }
            TfSessionState state = Host.Existing.State();
            if (state.link == NativeMethods.TF_LINK_ATTACHED)
            {
                away.Restart();
            }
            else if (state.link == NativeMethods.TF_LINK_DOWN && away.Elapsed > AwayMax)
            {
                string word = Status.Word(state.status);
                throw new ThumbforgeException(ExitCodes.Of(word) == ExitCodes.Mismatch ? word : "no_sidecar", Host.Existing.Trouble());
            }
        }

        private static BuildResult TimedOut(Build build, TimeSpan timeout, Func<BuildResult> ended)
        {
            Builds.Cancel(build);
            Stopwatch stopping = Stopwatch.StartNew();
            while (ended() == null && stopping.Elapsed < StopMax)
            {
                Host.Turn(TurnMilliseconds);
            }
            // What was made before is imported, so that the next run has only the rest to do.
            BuildResult result = ended() ?? new BuildResult { Build = build };
            if (result.Exit == ExitCodes.Interrupted || ended() == null)
            {
                result.Exit = ExitCodes.TimedOut;
                result.Message = "the build took longer than " + timeout.TotalSeconds + " s; what was made is kept, and the same "
                    + "command makes the rest";
            }
            return result;
        }

        private static void Say(BuildResult result)
        {
            ReportJson report = result.Report;
            if (report != null)
            {
                foreach (ItemJson item in report.items ?? new ItemJson[0])
                {
                    if (item.error != null && !string.IsNullOrEmpty(item.error.code))
                    {
                        Debug.LogError("Thumbforge: " + item.path + ": [" + item.error.code + "] " + item.error.message);
                    }
                    else if (item.state == "kept")
                    {
                        Debug.LogWarning("Thumbforge: " + item.path + ": " + item.note);
                    }
                }
                bool plan = result.Build.OnlyPlans;
                Debug.Log("Thumbforge: " + report.planned + " wanted, " + report.rendered + (plan ? " to draw, " : " drawn, ")
                    + report.cached + (plan ? " to take from the store, " : " from the store, ") + report.unchanged
                    + " unchanged, " + report.stale + " stale, " + report.kept + " kept, " + report.failed + " failed in " + report.elapsed_ms / 1000.0 + " s; exit code " + result.Exit);
            }
            if (result.Exit != ExitCodes.Done && !string.IsNullOrEmpty(result.Message))
            {
                Debug.LogError("Thumbforge: " + result.Message);
            }
        }
    }
}
