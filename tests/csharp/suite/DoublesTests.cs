// The doubles themselves, where a wrong one would make the package's tests worthless.
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class DoublesTests
    {
        private TestFolder folder;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            FirstPostprocessor.Seen.Clear();
        }

        [TearDown]
        public void End()
        {
            FakeEditor.Leave();
            folder.Dispose();
        }

        private static void Picture(string path, byte shade = 7)
        {
            Pictures.Write(FakeAssets.Full(path), 30, 20, shade);
        }

        [Test]
        public void OutsideAScopeAnImportIsThereAtOnce()
        {
            Picture("Assets/Icons/a.png");
            Assert.That(AssetDatabase.LoadAssetAtPath<Texture2D>("Assets/Icons/a.png") == null);
            AssetDatabase.ImportAsset("Assets/Icons/a.png");
            Assert.That(AssetImporter.GetAtPath("Assets/Icons/a.png"), Is.InstanceOf<TextureImporter>());
            Assert.That(FakeAssets.Imports, Is.EqualTo(new[] { "Assets/Icons", "Assets/Icons/a.png" }));
            Assert.That(AssetDatabase.IsValidFolder("Assets/Icons"));
            Assert.That(File.Exists("Assets/Icons.meta"));
        }

        [Test]
        public void InsideAScopeItWaitsForTheOutermostEnd()
        {
            Picture("Assets/a.png");
            AssetDatabase.StartAssetEditing();
            AssetDatabase.StartAssetEditing();
            AssetDatabase.ImportAsset("Assets/a.png", ImportAssetOptions.ForceUpdate);
            AssetDatabase.ImportAsset("Assets/a.png", ImportAssetOptions.ForceUpdate);
            Assert.That(AssetImporter.GetAtPath("Assets/a.png") == null);
            AssetDatabase.StopAssetEditing();
            Assert.That(AssetImporter.GetAtPath("Assets/a.png") == null);
            AssetDatabase.StopAssetEditing();
            Assert.That(AssetImporter.GetAtPath("Assets/a.png") != null);
            Assert.That(FakeAssets.Imports.Length, Is.EqualTo(1));
            AssetDatabase.StopAssetEditing();
            Assert.That(FakeLog.Errors.Length, Is.EqualTo(1));
        }

        [Test]
        public void AGuidOutlivesItsPicture()
        {
            Picture("Assets/a.png");
            AssetDatabase.ImportAsset("Assets/a.png");
            string guid = AssetDatabase.AssetPathToGUID("Assets/a.png");
            Texture2D texture = AssetDatabase.LoadAssetAtPath<Texture2D>("Assets/a.png");
            Pictures.Write("Assets/a.png", 64, 64, 9);
            AssetDatabase.ImportAsset("Assets/a.png", ImportAssetOptions.ForceUpdate);
            Assert.That(guid, Has.Length.EqualTo(32));
            Assert.That(AssetDatabase.AssetPathToGUID("Assets/a.png"), Is.EqualTo(guid));
            Assert.That(AssetDatabase.GUIDToAssetPath(guid), Is.EqualTo("Assets/a.png"));
            Assert.That(AssetDatabase.LoadAssetAtPath<Texture2D>("Assets/a.png"), Is.SameAs(texture));
            Assert.That(texture.width, Is.EqualTo(64));
        }

        [Test]
        public void AGivenMetaIsKept()
        {
            Picture("Assets/a.png");
            File.WriteAllText("Assets/a.png.meta", "fileFormatVersion: 2\nguid: 0123456789abcdef0123456789abcdef\n");
            AssetDatabase.Refresh();
            Assert.That(AssetDatabase.AssetPathToGUID("Assets/a.png"), Is.EqualTo("0123456789abcdef0123456789abcdef"));
            Assert.That(FirstPostprocessor.Seen[0], Is.EqualTo("first Assets/a.png new"));
        }

        [Test]
        public void ProcessorsComeInOrderAndSeeWhatIsNew()
        {
            Picture("Assets/a.png");
            AssetDatabase.ImportAsset("Assets/a.png");
            AssetDatabase.ImportAsset("Assets/a.png", ImportAssetOptions.ForceUpdate);
            Assert.That(FirstPostprocessor.Seen, Is.EqualTo(new[]
            {
                "first Assets/a.png new", "second", "all 1", "first Assets/a.png known", "second", "all 1",
            }));
            Assert.That(FakeAssets.MetaWrites, Is.EqualTo(new[] { "Assets/a.png" }));
        }

        [Test]
        public void NothingIsImportedWithinAnImport()
        {
            Picture("Assets/nested.png");
            AssetDatabase.ImportAsset("Assets/nested.png");
            Assert.That(FakeLog.Errors.Length, Is.EqualTo(1));
            Assert.That(FakeLog.Errors[0], Is.StringContaining("restricted during asset importing"));
        }

        [Test]
        public void SettingsUserDataAndLabelsAreInTheMeta()
        {
            Picture("Assets/a.png");
            AssetDatabase.ImportAsset("Assets/a.png");
            var importer = (TextureImporter)AssetImporter.GetAtPath("Assets/a.png");
            Assert.That(AssetDatabase.LoadAssetAtPath<Sprite>("Assets/a.png") == null);
            importer.textureType = TextureImporterType.Sprite;
            importer.userData = "{\"words\": \"ä: 1\\n\"}";
            importer.SetPlatformTextureSettings(new TextureImporterPlatformSettings
            {
                name = "Android", overridden = true, maxTextureSize = 256, format = TextureImporterFormat.ASTC_6x6,
            });
            importer.SaveAndReimport();
            Assert.That(AssetDatabase.LoadAssetAtPath<Sprite>("Assets/a.png") == null, "Multiple has no sprite");
            importer.spriteImportMode = SpriteImportMode.Single;
            importer.SaveAndReimport();
            AssetDatabase.SetLabels(AssetDatabase.LoadMainAssetAtPath("Assets/a.png"), new[] { "two", "one" });

            FakeAssets.Forget();
            importer = (TextureImporter)AssetImporter.GetAtPath("Assets/a.png");
            Assert.That(importer.userData, Is.EqualTo("{\"words\": \"ä: 1\\n\"}"));
            TextureImporterPlatformSettings android = importer.GetPlatformTextureSettings("Android");
            Assert.That(android.format, Is.EqualTo(TextureImporterFormat.ASTC_6x6));
            Assert.That(importer.GetPlatformTextureSettings("iPhone").overridden, Is.False);
            Sprite sprite = AssetDatabase.LoadAssetAtPath<Sprite>("Assets/a.png");
            Assert.That(sprite.rect.width, Is.EqualTo(30));
            Assert.That(AssetDatabase.GetLabels(sprite), Is.EqualTo(new[] { "one", "two" }));
            Assert.That(AssetDatabase.FindAssets("l:one t:Texture2D"), Has.Length.EqualTo(1));
        }

        [Test]
        public void LockedPathsAreNamed()
        {
            FakeAssets.Lock("Assets/b.png", true);
            var fixedPaths = new List<string>();
            bool all = AssetDatabase.MakeEditable(new[] { "Assets/a.png", "Assets/b.png" }, null, fixedPaths);
            Assert.That(all, Is.False);
            Assert.That(fixedPaths, Is.EqualTo(new[] { "Assets/b.png" }));
            Assert.That(AssetDatabase.IsOpenForEdit("Assets/b.png"), Is.False);
        }

        [Test]
        public void OtherThreadsAreSentAway()
        {
            Exception thrown = null;
            var thread = new Thread(() =>
            {
                try
                {
                    new Texture2D(1, 1, TextureFormat.RGBA32, false);
                }
                catch (Exception exception)
                {
                    thrown = exception;
                }
            });
            thread.Start();
            thread.Join();
            Assert.That(thrown, Is.InstanceOf<UnityException>());
        }

        [Test]
        public void WhatIsAwaitedGoesOnInAFrame()
        {
            var source = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            int after = 0;
            Func<Task> wait = async () => { after = await source.Task; };
            Task task = wait();
            source.SetResult(3);
            Assert.That(FakeEditor.FramesUntil(() => task.IsCompleted, 10));
            Assert.That(after, Is.EqualTo(3));
        }

        [Test]
        public void TexturesAreCountedUntilTheyAreDestroyed()
        {
            int before = FakeTextures.Live;
            var texture = new Texture2D(2, 2, TextureFormat.RGBA32, false);
            Assert.That(FakeTextures.Live, Is.EqualTo(before + 1));
            Assert.That(texture.GetRawTextureData<Color32>().Length, Is.EqualTo(4));
            UnityEngine.Object.DestroyImmediate(texture);
            Assert.That(FakeTextures.Live, Is.EqualTo(before));
            Assert.That(texture == null);
            Assert.Throws<MissingReferenceException>(() => texture.GetRawTextureData());
        }

        [Test]
        public void APngIsDecodedBottomUp()
        {
            var texture = new Texture2D(1, 1, TextureFormat.RGBA32, false);
            Assert.That(texture.LoadImage(Pictures.Png(5, 3, 200)));
            Assert.That(texture.width * 100 + texture.height, Is.EqualTo(503));
            Assert.That(texture.GetRawTextureData(), Is.All.EqualTo(200));
            UnityEngine.Object.DestroyImmediate(texture);
        }

        [Test]
        public void ExitThrowsAndIsRemembered()
        {
            bool quit = false;
            EditorApplication.quitting += () => quit = true;
            Assert.Throws<FakeExit>(() => EditorApplication.Exit(7));
            Assert.That(FakeEditor.ExitCode, Is.EqualTo(7));
            Assert.That(quit);
        }
    }

    /// <summary>Sees every picture that is imported, before the second.</summary>
    internal sealed class FirstPostprocessor : AssetPostprocessor
    {
        internal static readonly List<string> Seen = new List<string>();

        public override int GetPostprocessOrder()
        {
            return -5;
        }

        private void OnPreprocessTexture()
        {
            Seen.Add("first " + assetPath + (assetImporter.importSettingsMissing ? " new" : " known"));
            if (assetPath == "Assets/nested.png")
            {
                AssetDatabase.ImportAsset("Assets/a.png");
            }
        }

        private static void OnPostprocessAllAssets(string[] imported, string[] deleted, string[] moved, string[] from)
        {
            Seen.Add("all " + imported.Length);
        }
    }

    internal sealed class SecondPostprocessor : AssetPostprocessor
    {
        private void OnPreprocessTexture()
        {
            FirstPostprocessor.Seen.Add("second");
        }
    }
}
