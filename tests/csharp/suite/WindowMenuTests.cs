// Menus: what is offered for which selection.
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class WindowMenuTests
    {
        private static readonly string[] OfOurs =
        {
            "Assets/Thumbforge/Generate Draft", "Assets/Thumbforge/Regenerate", "Assets/Thumbforge/Promote to Final",
        };

        private TestFolder folder;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            FakeEditor.Load(typeof(ThumbforgeWindow).Assembly);
        }

        [TearDown]
        public void End()
        {
            FakeEditor.Leave();
            folder.Dispose();
        }

        private static Object Picture(string path, bool ours)
        {
            Pictures.Write(FakeAssets.Full(path), 8, 8, 7);
            AssetDatabase.ImportAsset(path);
            if (ours)
            {
                AssetImporter importer = AssetImporter.GetAtPath(path);
                importer.userData = UserData.With("", new string('a', 64));
                importer.SaveAndReimport();
            }
            return AssetDatabase.LoadMainAssetAtPath(path);
        }

        private static void Expect(bool ours, bool provenance)
        {
            foreach (string path in OfOurs)
            {
                Assert.That(FakeMenus.CanChoose(path), Is.EqualTo(ours), path);
            }
            Assert.That(FakeMenus.CanChoose("Assets/Thumbforge/Show Provenance"), Is.EqualTo(provenance));
        }

        [Test]
        public void NothingIsOfferedForNothing()
        {
            Expect(false, false);
        }

        [Test]
        public void AForeignPictureCanOnlyBeAskedWhereItIsFrom()
        {
            Selection.activeObject = Picture("Assets/foreign.png", false);
            Expect(false, true);
        }

        [Test]
        public void OursAreOfferedEverythingUnlessScriptsCompile()
        {
            Object ours = Picture("Assets/ours.png", true);
            Selection.activeObject = ours;
            Expect(true, true);
            Assert.That(Menus.Ours(), Is.EqualTo(new[] { "Assets/ours.png" }));
            Selection.objects = new[] { ours, Picture("Assets/foreign.png", false) };
            Expect(true, false);
            Assert.That(Menus.Ours(), Is.EqualTo(new[] { "Assets/ours.png" }));
            FakeEditor.Compiling = true;
            Expect(false, false);
            FakeEditor.Compiling = false;
        }

        [Test]
        public void TheProjectIsRegeneratedOnlyWhereThereIsAManifest()
        {
            Assert.That(FakeMenus.CanChoose("Tools/Thumbforge/Regenerate All Locales"), Is.False);
            Assert.That(FakeMenus.CanChoose("Tools/Thumbforge/Doctor"));
            Assert.That(FakeMenus.CanChoose("Window/Thumbforge"));
            System.IO.File.WriteAllText("thumbforge.toml", "");
            Assert.That(FakeMenus.CanChoose("Tools/Thumbforge/Regenerate All Locales"));
        }
    }
}
