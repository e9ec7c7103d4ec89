// An editor process in a test: scripts live in a domain that can be reloaded, unloaded without notice, or quit.
//
// Start ─► Load ─► (Reload | Vanish ─► Load)… ─► Dispose
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading;
using UnityEditor;

namespace Thumbforge.Tests
{
    /// <summary>A project, a data directory, and the scripts that are loaded now.</summary>
    internal sealed class EditorProcess : IDisposable
    {
        private readonly TestFolder folder = new TestFolder();
        private readonly FakeNative native;
        private AppDomain domain;
        private Scripts scripts;

        /// <param name="linked">Whether the project's path leads over a link, as one of a substituted drive does.</param>
        /// <param name="name">What the project's folder is called.</param>
        internal EditorProcess(bool linked = false, string name = "project")
        {
            Project = Path.Combine(folder.Path, name);
            if (linked)
            {
                string real = Path.Combine(folder.Path, "real");
                Directory.CreateDirectory(real);
                new Mono.Unix.UnixSymbolicLinkInfo(Project).CreateSymbolicLinkTo(real);
            }
            DataDirectory = Path.Combine(folder.Path, "data");
            native = FakeEditor.Start(Project);
            FakeEditor.Leave();
        }

        internal string Project { get; }

        internal string DataDirectory { get; }

        /// <summary>The sidecar's program; empty: the package's own, which only a packed one has.</summary>
        internal string Program { get; set; } = TestFolder.IsPacked ? "" : TestFolder.Program;

        /// <summary>Loads scripts into a new domain, as an editor does when it starts or has compiled.</summary>
        internal T Load<T>() where T : Scripts
        {
            return Load<T>(Path.GetDirectoryName(typeof(T).Assembly.Location));
        }

        /// <summary>The same with the assemblies of another folder.</summary>
        internal T Load<T>(string assemblies) where T : Scripts
        {
            var setup = new AppDomainSetup { ApplicationBase = assemblies };
            domain = AppDomain.CreateDomain("scripts", null, setup);
            native.Enter(domain);
            string tests = Path.Combine(assemblies, "Tests.dll");
            var loaded = (T)domain.CreateInstanceFromAndUnwrap(tests, typeof(T).FullName);
            loaded.Load(Program, DataDirectory);
            scripts = loaded;
            return loaded;
        }

        /// <summary>Reloads scripts as Unity does: it says so before, then unloads the domain.</summary>
        internal T Reload<T>() where T : Scripts
        {
            scripts.BeforeReload();
            Vanish();
            return Load<T>();
        }

        /// <summary>Unloads scripts without telling them.</summary>
        internal void Vanish()
        {
            AppDomain gone = domain;
            domain = null;
            scripts = null;
            AppDomain.Unload(gone);
        }

        /// <summary>Ends every sidecar of this editor's data directory, as kill -9 does; their process ids.</summary>
        internal List<int> KillSidecar()
        {
            var killed = new List<int>();
            foreach (string process in Directory.GetDirectories("/proc"))
            {
                int id;
                if (!int.TryParse(Path.GetFileName(process), out id) || !IsOurSidecar(process))
                {
                    continue;
                }
                try
                {
                    Process.GetProcessById(id).Kill();
                    killed.Add(id);
                    // One that is dead has no command line any more, whether or not somebody has taken note of it.
                    SpinWait.SpinUntil(() => !IsOurSidecar(process), TimeSpan.FromSeconds(10));
                }
                catch (ArgumentException)
                {
                    // It has just ended by itself.
                }
                catch (InvalidOperationException)
                {
                    // It has just ended by itself.
                }
            }
            return killed;
        }

        public void Dispose()
        {
            if (scripts != null)
            {
                scripts.Quit();
                Vanish();
            }
            KillSidecar();
            folder.Dispose();
        }

        private bool IsOurSidecar(string process)
        {
            try
            {
                string line = File.ReadAllText(Path.Combine(process, "cmdline"));
                return Array.IndexOf(line.Split('\0'), DataDirectory) >= 0;
            }
            catch (Exception exception) when (exception is IOException || exception is UnauthorizedAccessException)
            {
                return false;
            }
        }
    }
}
