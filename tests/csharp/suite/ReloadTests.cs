// Scripts are reloaded while pictures are on their way: none is lost, none comes twice.
using System.Collections.Generic;
using NUnit.Framework;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class ReloadTests
    {
        private const int Jobs = 50;
        private EditorProcess editor;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        [TestCase(false)]
        [TestCase(true)]
        public void EveryPictureComesOnce(bool withoutNotice)
        {
            var before = editor.Load<PictureScripts>();
            before.Frame();
            before.Ask(0, Jobs, 256);
            var came = new List<string>(before.TakeAtLeast(10));
            // Polled and not given back: the library lends it to the scripts that come next.
            string kept = before.PollAndKeep();
            // One that is being copied for a frame to come is lent as well.
            Assert.That(before.Lent(), Is.GreaterThanOrEqualTo(1));
            PictureScripts after;
            if (withoutNotice)
            {
                editor.Vanish();
                after = editor.Load<PictureScripts>();
            }
            else
            {
                after = editor.Reload<PictureScripts>();
            }
            string[] recovered = after.TakeRecovered(Jobs - came.Count);
            Assert.That(recovered, Has.Member(kept));
            came.AddRange(recovered);
            Assert.That(came, Is.Unique.And.Count.EqualTo(Jobs));
            Assert.That(after.Lent(), Is.EqualTo(0));
            Assert.That(after.Restarts(), Is.EqualTo(0));
            Assert.That(after.LiveTextures(), Is.EqualTo(0));
        }

        [Test]
        public void WhatWasAskedBeforeTheFirstFrameIsTakenOverToo()
        {
            var before = editor.Load<PictureScripts>();
            before.Ask(0, 3, 256);
            before.Frame();
            var after = editor.Reload<PictureScripts>();
            Assert.That(after.TakeRecovered(3), Is.Unique);
        }

        [Test]
        public void AReloadWithoutASessionOpensNone()
        {
            editor.Load<PictureScripts>().Frame();
            var after = editor.Reload<PictureScripts>();
            after.Frame();
            Assert.That(after.HasSession(), Is.False);
            Assert.That(editor.KillSidecar(), Is.Empty);
        }
    }
}
