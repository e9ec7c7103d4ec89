// The doubles over a reload: what Unity's native side keeps, and what goes with the scripts.
using NUnit.Framework;
using UnityEditor;

namespace Thumbforge.Tests
{
    /// <summary>A setting that is never written to disk, as most of a window's state.</summary>
    internal sealed class Remembered : ScriptableSingleton<Remembered>
    {
        public string words = "";
    }

    internal sealed class RememberingScripts : Scripts
    {
        private static int statics;

        /// <summary>Leaves something in every place; the ids of two progress items, the second unmanaged.</summary>
        public int[] Leave()
        {
            statics = 5;
            SessionState.SetString("tests.words", "still here");
            Remembered.instance.words = "serialized";
            int managed = UnityEditor.Progress.Start("managed");
            int unmanaged = UnityEditor.Progress.Start("unmanaged", null, UnityEditor.Progress.Options.Unmanaged);
            return new[] { managed, unmanaged };
        }

        public string Find(int managed, int unmanaged)
        {
            string session = SessionState.GetString("tests.words", "gone");
            return statics + ", " + session + ", " + Remembered.instance.words + ", " +
                UnityEditor.Progress.GetStatus(managed) + ", " + UnityEditor.Progress.GetStatus(unmanaged);
        }

        public bool HasUpdates()
        {
            return EditorApplication.update != null;
        }
    }

    [TestFixture]
    internal sealed class ReloadDoublesTests
    {
        [Test]
        public void NativeStateStaysAndStaticsGo()
        {
            using (var editor = new EditorProcess())
            {
                int[] items = editor.Load<RememberingScripts>().Leave();
                var after = editor.Reload<RememberingScripts>();
                Assert.That(after.Find(items[0], items[1]), Is.EqualTo("0, still here, serialized, Canceled, Running"));
            }
        }

        [Test]
        public void AnImportWorkerSubscribesToNothing()
        {
            using (var editor = new EditorProcess())
            {
                FakeEditor.ImportWorker = true;
                var worker = editor.Load<RememberingScripts>();
                worker.Frame();
                Assert.That(worker.HasUpdates(), Is.False);
                Assert.That(editor.KillSidecar(), Is.Empty);
            }
        }
    }
}
