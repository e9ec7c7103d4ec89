// Pictures for scripts, from the call to the texture, with a real sidecar.
using System.Collections.Generic;
using System.IO;
using NUnit.Framework;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class PicturesTests
    {
        private EditorProcess editor;
        private PictureScripts scripts;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
            scripts = editor.Load<PictureScripts>();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        [Test]
        public void AHundredJobsComeOnceEach()
        {
            scripts.Ask(0, 100, 64);
            Assert.That(scripts.TakeAtLeast(100), Is.Unique.And.Length.EqualTo(100));
            Assert.That(scripts.InFlight(), Is.EqualTo(0));
            Assert.That(scripts.Lent(), Is.EqualTo(0));
            Assert.That(scripts.LiveTextures(), Is.EqualTo(0));
        }

        [Test]
        public void ATextureIsTheFilesPictureBottomUp()
        {
            scripts.Ask(7, 8, 64);
            byte[] texture = scripts.Pixels("crate 7");
            string file = Path.Combine(editor.Project, "crate.png");
            string prompt = PictureScripts.Request("crate 7", 64).Prompt;
            TestFolder.Run(editor.Project, "generate", prompt, "--model", "builtin", "--size", "64x64",
                "--out-file", file, "--data-dir", editor.DataDirectory);
            Assert.That(texture, Is.EqualTo(UnityEngine.FakePng.Read(File.ReadAllBytes(file)).BottomUp()));
        }

        [Test]
        public void AKilledSidecarIsReplacedAndNothingIsLost()
        {
            scripts.Ask(0, 60, 256);
            var came = new List<string>(scripts.TakeAtLeast(5));
            Assert.That(editor.KillSidecar(), Has.Count.EqualTo(1));
            came.AddRange(scripts.TakeAtLeast(60 - came.Count));
            Assert.That(came, Is.Unique.And.Count.EqualTo(60));
            Assert.That(scripts.Restarts(), Is.EqualTo(1));
        }

        [Test]
        public void AQueuedJobIsTakenBack()
        {
            scripts.Ask(0, 8, 512);
            scripts.AskCancellable("last", 512);
            scripts.Cancel();
            Assert.That(scripts.Ending("last"), Is.EqualTo("cancelled"));
            Assert.That(scripts.Ending("crate 7"), Is.EqualTo("done"));
        }

        [Test]
        public void ARunningJobIsTakenBack()
        {
            scripts.AskCancellable("large", 4096);
            scripts.CancelWhileRunning("large");
            Assert.That(scripts.Ending("large"), Is.EqualTo("cancelled"));
        }

        [Test]
        public void AFullQueueSaysSoAtOnce()
        {
            const int Most = 100000;
            int room = scripts.AskUntilFull(Most);
            Assert.That(room, Is.GreaterThanOrEqualTo(1000).And.LessThan(Most));
            scripts.TakeAtLeast(10);
            scripts.Ask(Most, Most + 1, 16);
        }
    }
}
