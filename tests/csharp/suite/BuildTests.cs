// Builds that are disturbed: scripts reloaded, the sidecar killed, taken back.
using NUnit.Framework;
using UnityEditor;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class BuildTests
    {
        private const int Assets = 12;
        private EditorProcess editor;
        private BuildScripts scripts;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
            var names = new string[Assets];
            for (int at = 0; at < Assets; at++)
            {
                names[at] = "item" + at;
            }
            new Manifest(editor.Project) { Assets = names, Side = 512 }.Write();
            scripts = editor.Load<BuildScripts>();
            scripts.Frame();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        private void EverythingCameOnce()
        {
            for (int at = 0; at < Assets; at++)
            {
                foreach (string locale in new[] { "en", "de" })
                {
                    string path = Manifest.PathOf("item" + at, locale);
                    string[] imports = System.Array.FindAll(FakeAssets.Imports, one => one == path);
                    Assert.That(imports.Length, Is.EqualTo(1), path);
                    Assert.That(scripts.UserData(path), Is.StringContaining("thumbforge"));
                }
            }
            Assert.That(UnityEngine.FakeLog.Errors, Is.Empty);
            Assert.That(scripts.ProgressStates(), Is.EqualTo(new[] { "Succeeded" }));
        }

        [TestCase(false)]
        [TestCase(true)]
        public void ABuildGoesOnOverAReload(bool withoutNotice)
        {
            scripts.Begin();
            scripts.UntilHalfway();
            if (withoutNotice)
            {
                editor.Vanish();
                scripts = editor.Load<BuildScripts>();
            }
            else
            {
                scripts = editor.Reload<BuildScripts>();
            }
            Assert.That(scripts.UntilNothingIsOpen(), Is.EqualTo(new[] { "0 " + Assets * 2 }));
            EverythingCameOnce();
        }

        [TestCase(false)]
        [TestCase(true)]
        public void ABuildGoesOnOverReloadsFromItsFirstMomentAndTwiceBeforeAFrame(bool withoutNotice)
        {
            scripts.Begin();
            for (int reload = 0; reload < 2; reload++)
            {
                if (withoutNotice)
                {
                    editor.Vanish();
                    scripts = editor.Load<BuildScripts>();
                }
                else
                {
                    scripts = editor.Reload<BuildScripts>();
                }
            }
            Assert.That(scripts.UntilNothingIsOpen(), Is.EqualTo(new[] { "0 " + Assets * 2 }));
            EverythingCameOnce();
        }

        [Test]
        public void ABuildThatIsTakenBackJustBeforeAReloadDoesNotComeBack()
        {
            scripts.Begin();
            scripts.UntilHalfway();
            scripts.Cancel();
            scripts = editor.Reload<BuildScripts>();
            string[] ended = scripts.UntilNothingIsOpen();
            Assert.That(ended, Has.Length.EqualTo(1));
            Assert.That(ended[0], Is.StringStarting("130 "));
        }

        [Test]
        public void ABuildThatIsTakenBackWhileItIsPlannedDoesNotBegin()
        {
            scripts.Begin();
            scripts.Cancel();
            scripts = editor.Reload<BuildScripts>();
            string[] ended = scripts.UntilNothingIsOpen();
            Assert.That(ended, Has.Length.EqualTo(1));
            Assert.That(ended[0], Is.EqualTo("130 0"));
            Assert.That(FakeAssets.Imports, Is.Empty);
        }

        [Test]
        public void ABuildGoesOnOverAKilledSidecar()
        {
            scripts.Begin();
            scripts.UntilHalfway();
            Assert.That(editor.KillSidecar(), Has.Count.EqualTo(1));
            Assert.That(scripts.Ending(), Is.EqualTo("done"));
            EverythingCameOnce();
        }

        [Test]
        public void AScriptTakesABuildBack()
        {
            scripts.Begin();
            scripts.UntilHalfway();
            scripts.Cancel();
            Assert.That(scripts.Ending(), Is.EqualTo("cancelled"));
            Assert.That(scripts.ProgressStates(), Is.EqualTo(new[] { "Canceled" }));
            // What was made is kept, and the same again makes the rest.
            Told rest = scripts.Regenerate();
            Assert.That(rest.Exit, Is.EqualTo(0), rest.Message);
            Assert.That(rest.Unchanged + rest.Drawn, Is.EqualTo(Assets * 2));
        }

        [Test]
        public void APersonTakesABuildBackInTheProgressWindow()
        {
            scripts.Begin();
            Assert.That(scripts.CancelByProgress());
            Assert.That(scripts.UntilNothingIsOpen(), Has.Length.EqualTo(1));
            Assert.That(scripts.ProgressStates(), Is.EqualTo(new[] { "Canceled" }));
        }
    }
}
