// One build of a manifest, as the editor follows it: a plan, what the plan means for version control, the build, the import.
using System;
using System.Collections.Generic;

namespace Thumbforge.Editor
{
    /// <summary>What a build is for.</summary>
    internal enum BuildKind
    {
        /// <summary>Pictures of the project.</summary>
        Regenerate = 0,
        /// <summary>Drafts, which lie outside of the assets until somebody accepts them.</summary>
        Draft = 1,
        /// <summary>A look at what is there; nothing is made.</summary>
        Survey = 2,
    }

    /// <summary>How far a build is.</summary>
    internal enum BuildPhase
    {
        /// <summary>It is asked what would be made.</summary>
        Planning = 0,
        /// <summary>Pictures are made.</summary>
        Building = 1,
    }

    /// <summary>What is asked of a build, and how far it is. All of it outlives a reload of scripts.</summary>
    [Serializable]
    internal sealed class Build
    {
        public string id = Guid.NewGuid().ToString("N");
        public BuildKind kind;
        public BuildPhase phase;
        /// <summary>Absolute folder of the manifest.</summary>
        public string manifest;
        public string[] locales = new string[0];
        public string[] assets = new string[0];
        /// <summary>Unity's paths of the pictures that are meant; empty: all that the filters leave.</summary>
        public string[] paths = new string[0];
        /// <summary>Outputs that are meant, as the manifest names them; found from <see cref="paths"/> by the plan.</summary>
        public string[] only = new string[0];
        /// <summary>Outputs that version control does not let be written.</summary>
        public string[] except = new string[0];
        /// <summary>Outputs that the plan said will be written: they are imported even if a sidecar wrote them that died since.</summary>
        public string[] planned = new string[0];
        public string[] require = new string[0];
        public string[] deny = new string[0];
        /// <summary>The most that it may spend, in US dollars, as a person wrote it; empty: as the manifest has it.</summary>
        public string budget = string.Empty;
        public string tier = string.Empty;
        public string model = string.Empty;
        /// <summary>-1: as the manifest has it.</summary>
        public long seed = -1;
        public bool keepSeed;
        public bool force;
        public bool upgrade;
        public bool placeholder;
        public bool dryRun;
        public bool check;
        /// <summary>Whether a person waits, who can be asked.</summary>
        public bool interactive;
        public string junit = string.Empty;
        /// <summary>Where a script wants the report.</summary>
        public string reportTo = string.Empty;
        /// <summary>Tag of the command on its way, in decimal digits: JsonUtility keeps no unsigned numbers.</summary>
        public string tag = string.Empty;
        public int progress = -1;

        [NonSerialized] internal ulong job;
        /// <summary>Raised on any thread; nothing more is sent then.</summary>
        [NonSerialized] internal volatile bool cancelled;
        [NonSerialized] internal Action<BuildResult> ended;
        [NonSerialized] internal IProgress<RegenerationProgress> watcher;
        [NonSerialized] internal System.Threading.CancellationTokenRegistration cancelling;
        [NonSerialized] internal int done;
        [NonSerialized] internal int all;
        [NonSerialized] internal EventsFile events;

        internal string ReportFile
        {
            get { return Builds.FileOf(id, ".report.json"); }
        }

        internal string EventsPath
        {
            get { return Builds.FileOf(id, ".events"); }
        }

        /// <summary>Whether the plan is all that is wanted.</summary>
        internal bool OnlyPlans
        {
            get { return dryRun || check || kind == BuildKind.Survey; }
        }

        /// <summary>The command of this phase.</summary>
        internal string Command()
        {
            bool plans = OnlyPlans || phase == BuildPhase.Planning;
            bool draft = kind == BuildKind.Draft;
            var json = new JsonText()
                .Add("verb", "batch")
                .Add("manifest", manifest)
                .Add("locales", locales)
                .Add("assets", assets)
                .Add("only", only)
                .Add("except", except)
                .Add("tier", draft ? "preview" : tier)
                .Add("model", model)
                .Add("seed", seed < 0 ? (long?)null : seed)
                .Add("out", draft ? Installation.DraftsFolder : null)
                .Switch("keep_seed", keepSeed && !plans)
                .Switch("force", force)
                .Switch("upgrade", upgrade)
                .Switch("placeholder", placeholder)
                .Switch("dry_run", plans && !check)
                .Switch("check", check)
                .Add("report", ReportFile)
                // With the plan too: a manifest that cannot be read is told on the page of the build server.
                .Add("junit", junit);
            if (OnlyPlans || phase == BuildPhase.Building)
            {
                json.Add("require", require).Add("deny", deny);
            }
            if (!plans)
            {
                json.Add("budget", budget).Add("events", EventsPath);
            }
            return json.ToString();
        }
    }

    /// <summary>How a build ended.</summary>
    internal sealed class BuildResult
    {
        internal Build Build;
        /// <summary>Exit code as of the command line.</summary>
        internal int Exit;
        /// <summary>Word of what ended it; empty where it came to its end.</summary>
        internal string Code = string.Empty;
        /// <summary>One sentence where the exit code is not 0.</summary>
        internal string Message = string.Empty;
        /// <summary>The report; null when there is none.</summary>
        internal ReportJson Report;
        /// <summary>What came into the project.</summary>
        internal List<ImportedThumbnail> Imported = new List<ImportedThumbnail>();
        /// <summary>Every picture of the build that is an asset, made now or before.</summary>
        internal List<ImportedThumbnail> There = new List<ImportedThumbnail>();
    }
}
