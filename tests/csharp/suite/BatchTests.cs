// A headless editor: the exit code of every way in which a build can end.
using System.Collections.Generic;
using System.IO;
using NUnit.Framework;
using UnityEditor;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class BatchTests
    {
        private EditorProcess editor;
        private Manifest manifest;
        private BuildScripts scripts;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
            manifest = new Manifest(editor.Project);
            manifest.Write();
            scripts = editor.Load<BuildScripts>();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        private int Run(params string[] arguments)
        {
            var line = new List<string>(arguments) { "-thumbforgeDataDir", editor.DataDirectory };
            if (editor.Program.Length > 0 && !line.Contains("-thumbforgeProgram"))
            {
                line.AddRange(new[] { "-thumbforgeProgram", editor.Program });
            }
            return scripts.Batch(line.ToArray());
        }

        private string Said()
        {
            return string.Join("\n", scripts.Log());
        }

        [Test]
        public void ZeroWhenAllIsMadeAndImported()
        {
            string report = Path.Combine(editor.Project, "report.json");
            Assert.That(Run("-thumbforgeReport", report), Is.EqualTo(0), Said());
            Assert.That(File.ReadAllText(report), Is.StringMatching("\"rendered\": ?4"));
            Assert.That(FakeAssets.Imports, Has.Member(Manifest.PathOf("axe", "en")));
            Assert.That(scripts.UserData(Manifest.PathOf("axe", "en")), Is.StringContaining("thumbforge"));
            Assert.That(Run("-thumbforgeCheck"), Is.EqualTo(0), Said());
        }

        [Test]
        public void TheEntryEndsTheEditor()
        {
            Assert.That(scripts.BatchToTheEnd(), Is.EqualTo(0), Said());
            Assert.That(File.Exists(Manifest.PathOf("bow", "de")));
        }

        [TestCase("-thumbforgeLocale", "ja")]
        [TestCase("-thumbforgeManifest", "nowhere")]
        [TestCase("-thumbforgeLocales", "xx")]
        [TestCase("-thumbforgeAssets", "cudgel")]
        public void TwoForBadInput(string argument, string value)
        {
            Assert.That(Run(argument, value), Is.EqualTo(2), Said());
            Assert.That(UnityEngine.FakeLog.Errors, Is.Not.Empty);
        }

        [Test]
        public void TwoForAManifestThatCannotBeRead()
        {
            File.WriteAllText(Path.Combine(editor.Project, "thumbforge.toml"), "project = [");
            Assert.That(Run(), Is.EqualTo(2), Said());
        }

        [Test]
        public void ThreeWhenPicturesFail()
        {
            // Nothing stands in for a model that is not on this machine unless the manifest says so.
            manifest.Model = "sd3.5-medium";
            manifest.Write();
            Assert.That(Run(), Is.EqualTo(3), Said());
            Assert.That(Said(), Is.StringContaining("model_unavailable"));
        }

        [Test]
        public void FourWithoutAProgram()
        {
            Assert.That(Run("-thumbforgeProgram", "/nowhere/thumbforge"), Is.EqualTo(4), Said());
        }

        [Test]
        public void FiveForAnotherVersion()
        {
            manifest.Requires = ">=99";
            manifest.Write();
            Assert.That(Run(), Is.EqualTo(5), Said());
        }

        [Test]
        public void SixWhenTheTimeIsOver()
        {
            manifest.Side = 2048;
            manifest.Write();
            Assert.That(Run("-thumbforgeTimeout", "0.001"), Is.EqualTo(6), Said());
        }

        [Test]
        public void SevenForAGate()
        {
            Assert.That(Run("-thumbforgeCheck"), Is.EqualTo(7), Said());
            Assert.That(File.Exists(Manifest.PathOf("axe", "en")), Is.False);
            Assert.That(Run("-thumbforgeDeny", "builtin"), Is.EqualTo(7), Said());
        }

        [Test]
        public void SevenForWhatNobodyApproved()
        {
            Assert.That(Run("-thumbforgeRequire", "approved"), Is.EqualTo(7), Said());
            Assert.That(Said(), Is.StringContaining("axe"));
            Assert.That(File.Exists(Manifest.PathOf("axe", "en")));
        }
    }
}
