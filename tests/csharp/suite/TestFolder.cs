// A folder of a test's own, and what the runner says about this build.
using System;
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
