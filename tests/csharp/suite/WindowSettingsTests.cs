// The page of settings: what it keeps where, and what it says of values that cannot work.
using System.IO;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine.UIElements;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class WindowSettingsTests
    {
        private TestFolder folder;
        private VisualElement page;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            Open();
        }

        [TearDown]
        public void End()
        {
            FakeEditor.Leave();
            folder.Dispose();
        }

        private void Open()
        {
            SettingsProvider provider = SettingsPage.Provide();
            Assert.That(provider.settingsPath, Is.EqualTo("Project/Thumbforge"));
            Assert.That(provider.scope, Is.EqualTo(SettingsScope.Project));
            page = new VisualElement();
            provider.activateHandler("", page);
        }

        private string Says(string field)
        {
            var said = page.Q<Label>(field + "-check");
            return said.ClassListContains("tf-setting__check--bad") ? said.text : "";
        }

        private void Set(string field, string value)
        {
            page.Q<TextField>(field).value = value;
        }

        [Test]
        public void TheManifestIsLookedForInTheProjectAndThenInAssets()
        {
            Assert.That(ThumbforgeSettings.FoundFolder(folder.Path), Is.EqualTo("."));
            Assert.That(Says("manifest"), Is.StringContaining("neither in the project's folder nor in Assets"));
            File.WriteAllText("Assets/thumbforge.toml", "");
            Assert.That(ThumbforgeSettings.FoundFolder(folder.Path), Is.EqualTo("Assets"));
            Open();
            Assert.That(page.Q<Label>("manifest-check").text, Is.EqualTo("Found: Assets/thumbforge.toml"));
            File.WriteAllText("thumbforge.toml", "");
            Assert.That(ThumbforgeSettings.FoundFolder(folder.Path), Is.EqualTo("."));
        }

        [Test]
        public void AValueThatCannotWorkIsSaidAndNotKept()
        {
            ThumbforgeSettings settings = ThumbforgeSettings.instance;
            int port = settings.HttpPort;
            Set("port", "80");
            Assert.That(Says("port"), Is.EqualTo("Choose a port from 1024 to 65535."));
            Set("port", "eighty");
            Assert.That(Says("port"), Is.EqualTo("A port is a number."));
            Assert.That(settings.HttpPort, Is.EqualTo(port));
            Set("port", "8099");
            Assert.That(Says("port"), Is.EqualTo(""));
            Assert.That(settings.HttpPort, Is.EqualTo(8099));
            Set("manifest", "Nowhere");
            Assert.That(Says("manifest"), Is.EqualTo("There is no folder Nowhere in this project."));
            Set("manifest", "Assets");
            Assert.That(Says("manifest"), Is.EqualTo("There is no thumbforge.toml in Assets."));
            Assert.That(settings.ManifestFolderAsSet, Is.EqualTo(""));
            Set("string-tables", "Shop\nShop");
            Assert.That(Says("string-tables"), Is.EqualTo("Shop is named twice."));
            Set("string-tables", "Shop\n\n Seasons ");
            Assert.That(settings.StringTables, Is.EqualTo(new[] { "Shop", "Seasons" }));
            settings.HttpPort = ThumbforgeSettings.DefaultPort;
            settings.SetStringTables(new string[0]);
        }

        [Test]
        public void HttpIsOffAndItsPortGreyUntilSwitchedOn()
        {
            Assert.That(ThumbforgeSettings.instance.ServeHttp, Is.False);
            Assert.That(page.Q<TextField>("port").enabledInHierarchy, Is.False);
            page.Q<Toggle>("serve").value = true;
            Assert.That(ThumbforgeSettings.instance.ServeHttp);
            Assert.That(page.Q<TextField>("port").enabledInHierarchy);
            page.Q<Toggle>("serve").value = false;
        }

        [Test]
        public void WhatBelongsToThePersonIsKeptOutOfTheProject()
        {
            Set("person", "Mira Kowalczyk");
            Set("role", "art\tlead");
            Assert.That(Says("role"), Is.StringStarting("Tabs and line ends"));
            Set("role", "art");
            Set("program", "thumbforge");
            Assert.That(Says("program"), Is.EqualTo("Write the whole path, from the root."));
            Set("program", Path.Combine(folder.Path, "no-program"));
            Assert.That(Says("program"), Is.EqualTo("There is no program at this path."));
            Set("program", TestFolder.Program);
            Set("data", folder.Path);
            Assert.That(UserSettings.Person, Is.EqualTo("Mira Kowalczyk"));
            Assert.That(UserSettings.Role, Is.EqualTo("art"));
            Assert.That(UserSettings.ProgramPath, Is.EqualTo(TestFolder.Program));
            Assert.That(UserSettings.DataDirectory, Is.EqualTo(folder.Path));
            Assert.That(EditorPrefs.GetString("Thumbforge.Person"), Is.EqualTo("Mira Kowalczyk"));
            Assert.That(Directory.GetFiles("ProjectSettings", "*", SearchOption.AllDirectories),
                Has.None.StringContaining("Mira"));
            foreach (string file in Directory.GetFiles("ProjectSettings"))
            {
                Assert.That(File.ReadAllText(file), Is.Not.StringContaining("Mira"));
            }
            Set("person", "");
            Assert.That(UserSettings.Person, Is.EqualTo(System.Environment.UserName));
        }

        [Test]
        public void ThereIsNoFieldForAKey()
        {
            foreach (VisualElement field in UQueryExtensions.All(page, each => each is TextField))
            {
                Assert.That(((TextField)field).label.ToLowerInvariant(), Is.Not.StringContaining("key"));
            }
        }
    }
}
