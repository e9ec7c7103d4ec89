// A folder of a test's own, and what the runner says about this build.
using System;
using System.Diagnostics;
using System.IO;

namespace Thumbforge.Tests
{
    /// <summary>Made with the test and gone with it.</summary>
    internal sealed class TestFolder : IDisposable
    {
        internal TestFolder()
        {
            Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "thumbforge-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(Path);
        }

        internal string Path { get; }

        /// <summary>The sidecar's program.</summary>
        internal static string Program
        {
            get { return Setting("THUMBFORGE_TEST_PROGRAM"); }
        }

        /// <summary>Whether the package is one as people install it, with a library and a program of its own.</summary>
        internal static bool IsPacked
        {
            get { return Environment.GetEnvironmentVariable("THUMBFORGE_TEST_PACKED") == "1"; }
        }

        /// <summary>Folder of the package.</summary>
        internal static string Package
        {
            get { return Setting("THUMBFORGE_TEST_PACKAGE"); }
        }

        /// <summary>Folder of the repository.</summary>
        internal static string Root
        {
            get { return Setting("THUMBFORGE_TEST_ROOT"); }
        }

        /// <summary>Runs the program in a folder; what it says when it fails is the failure.</summary>
        internal static void Run(string folder, params string[] arguments)
        {
            string line = "\"" + string.Join("\" \"", arguments) + "\"";
            var start = new ProcessStartInfo(Program, line)
            {
                UseShellExecute = false, WorkingDirectory = folder, RedirectStandardError = true,
            };
            using (Process process = Process.Start(start))
            {
                string said = process.StandardError.ReadToEnd();
                process.WaitForExit();
                if (process.ExitCode != 0)
                {
                    throw new InvalidOperationException("exit code " + process.ExitCode + " of " + line + ": " + said);
                }
            }
        }

        public void Dispose()
        {
            Environment.CurrentDirectory = System.IO.Path.GetTempPath();
            try
            {
                Directory.Delete(Path, true);
            }
            catch (IOException)
            {
                // A sidecar that is ending may still write; the system cleans its temporary folder.
            }
        }

        private static string Setting(string name)
        {
            string value = Environment.GetEnvironmentVariable(name);
            if (string.IsNullOrEmpty(value))
            {
                throw new InvalidOperationException(name + " is not set: run tests/csharp/run");
            }
            return value;
        }
    }
}
