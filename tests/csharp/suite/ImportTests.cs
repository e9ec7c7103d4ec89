// Pictures of a manifest come into the asset database, and what was there of an asset stays.
using System;
using System.IO;
using System.Text;
using System.Text.RegularExpressions;
using NUnit.Framework;
using UnityEditor;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class ImportTests
    {
        private static readonly string Axe = Manifest.PathOf("axe", "en");
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
            scripts.Frame();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        /// <summary>The key that the file says it has.</summary>
        private string KeyInside(string path)
        {
            string bytes = Encoding.GetEncoding("iso-8859-1").GetString(File.ReadAllBytes(path));
            const string Chunk = "iTXtthumbforge\0.*?\"realised_key\":\"([0-9a-f]{64})\"";
            Match found = Regex.Match(bytes, Chunk, RegexOptions.Singleline);
            Assert.That(found.Success, path + " has no chunk");
            return found.Groups[1].Value;
        }

        private Told Redrawn(string subject)
        {
            manifest.Subject = subject;
            manifest.Write();
            return scripts.Regenerate();
        }

        [Test]
        public void ToInstallThePackageImportsNoTextureAnew()
        {
            Type processor = typeof(Thumbforge.Editor.Importer).Assembly.GetType("Thumbforge.Editor.TexturePostprocessor", true);
            const System.Reflection.BindingFlags Own = System.Reflection.BindingFlags.Instance
                | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic;
            Assert.That(processor.GetMethod("OnPreprocessTexture", Own), Is.Null, "every texture depends on whoever has it");
            Assert.That(((AssetPostprocessor)Activator.CreateInstance(processor)).GetVersion(), Is.EqualTo(0));
        }

        [Test]
        public void NewPicturesAreImportedWithTheirProfile()
        {
            Told told = scripts.Regenerate();
            Assert.That(told.Drawn, Is.EqualTo(4), told.Message);
            Assert.That(FakeAssets.Imports, Has.Member(Axe).And.Member(Manifest.PathOf("bow", "de")));
            Assert.That(scripts.Importer(Axe), Is.EqualTo("Sprite Single 512 flat (0.00, 0.00, 0.00, 0.00)"));
            // Four pictures and their folder at once: an editing scope held them together.
            Assert.That(FakeAssets.Rounds, Is.EqualTo(new[] { "5 imported, 0 deleted" }));
            Assert.That(scripts.HasSprite(Axe));
            Assert.That(scripts.Labels(Axe), Is.EqualTo(new[] { "thumbforge-builtin" }));
            Assert.That(scripts.ProgressStates(), Is.EqualTo(new[] { "Succeeded" }));
            Assert.That(UnityEngine.FakeLog.Errors, Is.Empty);
        }

        [Test]
        public void ProfilesKnowBordersAndPlatforms()
        {
            manifest.Profile += "border = [1, 2, 3, 4]\n" +
                "[profiles.item.platforms.Android]\nmax_size = 256\nformat = \"ASTC_6x6\"\n";
            manifest.Write();
            scripts.Regenerate();
            Assert.That(scripts.Importer(Axe),
                Is.EqualTo("Sprite Single 512 flat (1.00, 2.00, 3.00, 4.00) android 256 ASTC_6x6"));
        }

        [Test]
        public void ChunkUserDataAndReportHaveOneKey()
        {
            string key = scripts.Regenerate().Keys[Axe];
            Assert.That(KeyInside(Axe), Is.EqualTo(key));
            Assert.That(scripts.UserData(Axe), Is.EqualTo("{\"thumbforge\":\"" + key + "\"}"));
            string next = Redrawn("a stone").Keys[Axe];
            Assert.That(next, Is.Not.EqualTo(key));
            Assert.That(KeyInside(Axe), Is.EqualTo(next));
            Assert.That(scripts.UserData(Axe), Is.EqualTo("{\"thumbforge\":\"" + next + "\"}"));
        }

        [Test]
        public void AGuidOutlivesARegeneration()
        {
            scripts.Regenerate();
            string guid = FakeMeta.Read(Axe).Guid;
            byte[] before = File.ReadAllBytes(Axe);
            Assert.That(Redrawn("a stone").Drawn, Is.EqualTo(4));
            Assert.That(File.ReadAllBytes(Axe), Is.Not.EqualTo(before));
            Assert.That(FakeMeta.Read(Axe).Guid, Is.EqualTo(guid).And.Length.EqualTo(32));
        }

        [Test]
        public void SettingsOfAnArtistStay()
        {
            scripts.Regenerate();
            scripts.SetImporter(Axe, 128, null);
            Redrawn("a stone");
            Assert.That(scripts.Importer(Axe), Is.StringContaining("Sprite Single 128 flat"));
            Assert.That(scripts.Importer(Manifest.PathOf("bow", "en")), Is.StringContaining("Sprite Single 512 flat"));
        }

        [Test]
        public void WhatOthersKeepInUserDataStays()
        {
            scripts.Regenerate();
            scripts.SetImporter(Axe, 512, "{ \"atlas\": [1, {\"a\": \"}\"}] }");
            scripts.SetImporter(Manifest.PathOf("bow", "en"), 512, "owner=me");
            string key = Redrawn("a stone").Keys[Axe];
            Assert.That(scripts.UserData(Axe), Is.StringContaining("\"atlas\": [1, {\"a\": \"}\"}]"));
            Assert.That(scripts.UserData(Axe), Is.StringContaining("\"thumbforge\":\"" + key + "\""));
            Assert.That(scripts.UserData(Manifest.PathOf("bow", "en")), Is.EqualTo("owner=me"));
        }

        [Test]
        public void LabelsOfOthersStay()
        {
            scripts.Regenerate();
            scripts.SetLabels(Axe, "shop", "thumbforge-local", "AI-generated");
            Redrawn("a stone");
            Assert.That(scripts.Labels(Axe), Is.EqualTo(new[] { "shop", "thumbforge-builtin" }));
        }

        [Test]
        public void WhatIsUpToDateIsNotTouched()
        {
            scripts.Regenerate();
            int metas = FakeAssets.MetaWrites.Length, imports = FakeAssets.Imports.Length;
            DateTime written = File.GetLastWriteTimeUtc(Axe + ".meta");
            Told again = scripts.Regenerate();
            Assert.That(again.Unchanged, Is.EqualTo(4));
            scripts.Refresh();
            Assert.That(FakeAssets.MetaWrites.Length, Is.EqualTo(metas));
            Assert.That(FakeAssets.Imports.Length, Is.EqualTo(imports));
            Assert.That(File.GetLastWriteTimeUtc(Axe + ".meta"), Is.EqualTo(written));
        }

        [Test]
        public void ARegenerationWritesAMetaOnce()
        {
            scripts.Regenerate();
            string[] before = File.ReadAllLines(Axe + ".meta");
            int metas = FakeAssets.MetaWrites.Length;
            Redrawn("a stone");
            string[] after = File.ReadAllLines(Axe + ".meta");
            Assert.That(FakeAssets.MetaWrites.Length, Is.EqualTo(metas + 4));
            Assert.That(after.Length, Is.EqualTo(before.Length));
            for (int line = 0; line < after.Length; line++)
            {
                Assert.That(after[line] == before[line] || after[line].Contains("userData"), after[line]);
            }
        }

        [Test]
        public void WhatWasChangedByHandIsKeptUnlessForced()
        {
            scripts.Regenerate();
            Pictures.Write(Path.GetFullPath(Axe), 64, 64, 99);
            byte[] painted = File.ReadAllBytes(Axe);
            Told told = Redrawn("a stone");
            Assert.That(told.Kept, Is.EqualTo(1));
            Assert.That(told.States[Axe], Is.EqualTo("kept"));
            Assert.That(File.ReadAllBytes(Axe), Is.EqualTo(painted));
            Assert.That(scripts.Regenerate(true).States[Axe], Is.EqualTo("done"));
            Assert.That(File.ReadAllBytes(Axe), Is.Not.EqualTo(painted));
        }

        [Test]
        public void VersionControlIsAskedBeforeAnythingIsDrawn()
        {
            scripts.Regenerate();
            string before = Convert.ToBase64String(File.ReadAllBytes(Axe));
            FakeAssets.Lock(Axe, true);
            scripts.WatchEditable();
            Told told = Redrawn("a stone");
            Assert.That(scripts.AskedEditable(), Is.EquivalentTo(new[]
            {
                Axe, Manifest.PathOf("axe", "de"), Manifest.PathOf("bow", "en"), Manifest.PathOf("bow", "de"),
            }));
            Assert.That(scripts.SeenThen()[Array.IndexOf(scripts.AskedEditable(), Axe)], Is.EqualTo(before));
            Assert.That(told.Exit, Is.EqualTo(3), told.Message);
            Assert.That(told.Drawn, Is.EqualTo(3));
            Assert.That(told.States[Axe], Is.Not.EqualTo("done"));
            Assert.That(Convert.ToBase64String(File.ReadAllBytes(Axe)), Is.EqualTo(before));
        }

        [Test]
        public void APictureOfTheCommandLineIsImportedTheSame()
        {
            TestFolder.Run(editor.Project, "batch", ".", "--data-dir", editor.DataDirectory, "--no-sidecar");
            scripts.Refresh();
            Assert.That(scripts.Importer(Axe), Is.StringContaining("Sprite Single 512 flat"));
            Assert.That(scripts.UserData(Axe), Is.EqualTo("{\"thumbforge\":\"" + KeyInside(Axe) + "\"}"));
            Assert.That(scripts.Regenerate().Unchanged, Is.EqualTo(4));
        }
    }
}
