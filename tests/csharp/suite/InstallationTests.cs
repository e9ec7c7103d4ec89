// The sidecar's program comes out of the package, which may be read-only and may have lost the right to run.
using System;
using System.IO;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Native;
using UnityEditor;

namespace Thumbforge.Tests
{
    internal sealed class InstallingScripts : Scripts
    {
        /// <summary>Opens the session, and says what stood in the way.</summary>
        public string Open()
        {
            try
            {
                Until("a sidecar", () => Host.Connection.State().link == NativeMethods.TF_LINK_ATTACHED);
                return "";
            }
            catch (ThumbforgeException failure)
            {
                return failure.Code + ": " + failure.Message;
            }
        }
    }

    [TestFixture]
    internal sealed class InstallationTests
    {
        private TestFolder package;
        private EditorProcess editor;

        [SetUp]
        public void Start()
        {
            package = new TestFolder();
            editor = new EditorProcess { Program = "" };
            File.Copy(Path.Combine(TestFolder.Package, "package.json"), Path.Combine(package.Path, "package.json"));
            FakePackages.Folder = package.Path;
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
            package.Dispose();
        }

        private string Bring()
        {
            string folder = Path.Combine(package.Path, "Sidecar~", "linux-x86_64");
            Directory.CreateDirectory(folder);
            string packed = Path.Combine(folder, "thumbforge");
            // A copy of the bytes alone: nobody may run it.
            File.WriteAllBytes(packed, File.ReadAllBytes(TestFolder.Program));
            return packed;
        }

        private string[] Installed()
        {
            string bin = Path.Combine(editor.DataDirectory, "bin");
            return Directory.Exists(bin) ? Directory.GetFiles(bin, "*", SearchOption.AllDirectories) : new string[0];
        }

        [Test]
        public void ItIsCopiedOnceAndRuns()
        {
            Bring();
            Assert.That(editor.Load<InstallingScripts>().Open(), Is.EqualTo(""));
            string[] files = Installed();
            Assert.That(files, Has.Length.EqualTo(1));
            DateTime written = File.GetLastWriteTimeUtc(files[0]);
            Assert.That(editor.Reload<InstallingScripts>().Open(), Is.EqualTo(""));
            Assert.That(Installed(), Is.EqualTo(files));
            Assert.That(File.GetLastWriteTimeUtc(files[0]), Is.EqualTo(written));
        }

        [Test]
        public void APackageWithoutOneSaysWhatToDo()
        {
            string said = editor.Load<InstallingScripts>().Open();
            Assert.That(said, Is.StringStarting("no_sidecar: ").And.StringContaining("Project Settings"));
        }
    }
}
