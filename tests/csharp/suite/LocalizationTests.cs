// String tables go into a build and come back out of a real plan; pictures of locales come into asset tables, once.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Localization;
using UnityEditor;
using UnityEditor.Localization;
using UnityEngine;
using UnityEngine.Localization;
using UnityEngine.Localization.Metadata;
using UnityEngine.Localization.Tables;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class LocalizationTests
    {
        private const string Manifest = @"requires = "">=0.1""
project = ""com.example.tables""

[locales]
list = [""de"", ""en""]
strings = [""Localization/Shop.csv""] # what the editor writes

[output]
path = ""Assets/{{ asset }}/{{ asset }}.{{ locale }}.png""

[templates.offer]
version = 1
prompt = ""{{ subject }}""
model = ""builtin""
size = ""256x256""
[[templates.offer.text]]
name = ""title""
string = ""{{ asset }}.title""
area = [0.05, 0.05, 0.9, 0.9]

[assets.sword]
template = ""offer""
vars = { subject = ""a golden sword"" }
";

        private TestFolder folder;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            LocalizationEditorSettings.FakeForget();
        }

        [TearDown]
        public void End()
        {
            FakeEditor.Leave();
            folder.Dispose();
        }

        private static Locale[] Locales(params string[] codes)
        {
            return Array.ConvertAll(codes, code => Locale.CreateLocale(code));
        }

        private static AssetTableCollection Pictures(params string[] codes)
        {
            return LocalizationEditorSettings.CreateAssetTableCollection("Thumbnails", "Assets/Tables", Locales(codes));
        }

        private static StringTableCollection Words(string name)
        {
            StringTableCollection made =
                LocalizationEditorSettings.CreateStringTableCollection(name, "Assets/Tables", Locales("en", "de"));
            Say(made, "sword.title", "Golden sword", "Goldenes Schwert");
            return made;
        }

        private static void Say(StringTableCollection collection, string key, string english, string german)
        {
            ((StringTable)collection.GetTable("en")).AddEntry(key, english);
            ((StringTable)collection.GetTable("de")).AddEntry(key, german);
        }

        /// <summary>A picture on disk, as a build leaves it; not imported yet.</summary>
        private static ImportedThumbnail Picture(string asset, string locale, byte shade = 7)
        {
            string path = "Assets/T/" + asset + "/" + asset + "." + locale + ".png";
            Tests.Pictures.Write(FakeAssets.Full(path), 16, 16, shade);
            return new ImportedThumbnail { Asset = asset, Locale = locale, Path = path, Key = "k" };
        }

        private static void Import(params ImportedThumbnail[] pictures)
        {
            AssetDatabase.StartAssetEditing();
            foreach (ImportedThumbnail picture in pictures)
            {
                AssetDatabase.ImportAsset(picture.Path, ImportAssetOptions.ForceUpdate);
            }
            AssetDatabase.StopAssetEditing();
        }

        private static void MakeSprite(string path)
        {
            var importer = (TextureImporter)AssetImporter.GetAtPath(path);
            importer.textureType = TextureImporterType.Sprite;
            importer.spriteImportMode = SpriteImportMode.Single;
            importer.SaveAndReimport();
        }

        private static string Address(AssetTableCollection collection, string locale, string key)
        {
            AssetTableEntry entry = ((AssetTable)collection.GetTable(locale)).GetEntry(key);
            return entry == null ? "" : entry.Address;
        }

        private static string[] Dirtied
        {
            get { return FakeNative.Here.Notes("dirty"); }
        }

        private static void Fill(params ImportedThumbnail[] pictures)
        {
            AssetTableFill.Fill("Thumbnails", pictures);
        }

        [Test]
        public void BothStepsAreHookedIntoBuilds()
        {
            System.Runtime.CompilerServices.RuntimeHelpers.RunClassConstructor(typeof(LocalizationHooks).TypeHandle);
            Assert.That(BuildHooks.BeforeBuild.Exists(hook => hook.Method.DeclaringType == typeof(StringTableExport)));
            Assert.That(BuildHooks.AfterImport.Exists(hook => hook.Method.DeclaringType == typeof(AssetTableFill)));
        }

        [Test]
        public void TheSettingsSayWhichTables()
        {
            WriteManifest(Manifest);
            Words("Shop");
            AssetTableCollection tables = Pictures("en");
            ImportedThumbnail picture = Picture("sword", "en");
            Import(picture);
            string file = Path.Combine(folder.Path, "Localization", "Shop.csv");
            StringTableExport.Run(folder.Path);
            AssetTableFill.Run(new[] { picture });
            Assert.That(File.Exists(file), Is.False, "nothing is chosen, so nothing is done");
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(""));
            ThumbforgeSettings.instance.SetStringTables(new[] { " Shop " });
            ThumbforgeSettings.instance.AssetTable = "Thumbnails";
            StringTableExport.Run(folder.Path);
            AssetTableFill.Run(new[] { picture });
            Assert.That(File.Exists(file));
            Assert.That(Address(tables, "en", "sword"), Is.Not.EqualTo(""));
            Assert.That(FakeLog.Lines, Is.Empty);
        }

        [Test]
        public void TablesAreFilledOnceTheScopeHasClosed()
        {
            AssetTableCollection tables = Pictures("en", "de");
            ImportedThumbnail en = Picture("sword", "en"), de = Picture("sword", "de");
            AssetDatabase.StartAssetEditing();
            AssetDatabase.ImportAsset(en.Path, ImportAssetOptions.ForceUpdate);
            AssetDatabase.ImportAsset(de.Path, ImportAssetOptions.ForceUpdate);
            Fill(en, de);
            // Inside the scope nothing is imported, so nothing could be put anywhere, and that is said.
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(""));
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1));
            Assert.That(FakeLog.Lines[0], Is.StringContaining(en.Path));
            AssetDatabase.StopAssetEditing();
            Fill(en, de);
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(AssetDatabase.AssetPathToGUID(en.Path)));
            Assert.That(Address(tables, "de", "sword"), Is.EqualTo(AssetDatabase.AssetPathToGUID(de.Path)));
            Assert.That(Address(tables, "en", "sword"), Is.Not.EqualTo(Address(tables, "de", "sword")));
            Assert.That(tables.SharedData.Entries.Count, Is.EqualTo(1), "one key for both");
            Assert.That(FakeNative.Here.Notes("saved"), Has.Member("Thumbnails_en"));
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1), "nothing more to say");
        }

        [Test]
        public void TheSecondTimeNothingIsTouched()
        {
            AssetTableCollection tables = Pictures("en");
            ImportedThumbnail picture = Picture("sword", "en");
            Import(picture);
            Fill(picture);
            int dirtied = Dirtied.Length, saved = FakeNative.Here.Notes("saved").Length;
            Assert.That(dirtied, Is.GreaterThan(0));
            string before = Address(tables, "en", "sword");
            Fill(picture);
            // The same picture drawn anew: its file changed in place, its identity did not.
            Picture("sword", "en", 99);
            Import(picture);
            Fill(picture);
            Assert.That(Dirtied.Length, Is.EqualTo(dirtied));
            Assert.That(FakeNative.Here.Notes("saved").Length, Is.EqualTo(saved));
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(before));
        }

        [Test]
        public void ASpriteTakesThePlaceOfItsTexture()
        {
            AssetTableCollection tables = Pictures("en");
            ImportedThumbnail picture = Picture("sword", "en");
            Import(picture);
            Fill(picture);
            string guid = AssetDatabase.AssetPathToGUID(picture.Path);
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(guid));
            MakeSprite(picture.Path);
            Fill(picture);
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(guid + "[sword.en]"));
            int dirtied = Dirtied.Length;
            Fill(picture);
            Assert.That(Dirtied.Length, Is.EqualTo(dirtied));

            // Of a picture that is cut into many sprites none is meant: the texture is.
            var importer = (TextureImporter)AssetImporter.GetAtPath(picture.Path);
            importer.spriteImportMode = SpriteImportMode.Multiple;
            importer.SaveAndReimport();
            Fill(picture);
            Assert.That(Address(tables, "en", "sword"), Is.EqualTo(guid));
        }

        [Test]
        public void AHeadlessEditorSavesAllThatChanged()
        {
            Pictures("en");
            FakeEditor.Batch = true;
            ImportedThumbnail picture = Picture("sword", "en");
            Import(picture);
            Fill(picture);
            Assert.That(FakeNative.Here.Notes("saved"), Is.EqualTo(new[] { "assets" }));
        }

        [Test]
        public void WhatLacksIsSaidInOneWarningThatSaysWhatToDo()
        {
            AssetTableCollection tables = Pictures("en", "pt-BR");
            ImportedThumbnail en = Picture("sword", "en"), ja = Picture("sword", "ja"), more = Picture("shield", "ja");
            ImportedThumbnail brazil = Picture("sword", "pt_BR");
            var gone = new ImportedThumbnail { Asset = "gone", Locale = "en", Path = "Assets/T/gone/gone.en.png" };
            var alone = new ImportedThumbnail { Asset = "logo", Locale = "", Path = en.Path };
            Import(en, ja, more, brazil);
            Fill(gone, ja, more, en, brazil, alone);
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1));
            string said = FakeLog.Lines[0];
            Assert.That(said, Is.StringStarting("Warning: "));
            foreach (string words in new[] { "\"Thumbnails\"", "locale ja (pictures: 2)", "Tables", gone.Path })
            {
                Assert.That(said, Is.StringContaining(words));
            }
            // The others are in all the same, and a locale may be written either way.
            Assert.That(Address(tables, "en", "sword"), Is.Not.EqualTo(""));
            Assert.That(Address(tables, "pt-BR", "sword"), Is.Not.EqualTo(""));
            Assert.That(Address(tables, "en", "logo"), Is.EqualTo(""));
        }

        [Test]
        public void ACollectionThatIsNotThereIsNamed()
        {
            AssetTableFill.Fill("Icons", new[] { Picture("sword", "en") });
            AssetTableFill.Fill("", new[] { Picture("sword", "en") });
            AssetTableFill.Fill("Icons", new ImportedThumbnail[0]);
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1));
            Assert.That(FakeLog.Lines[0], Is.StringContaining("no asset table collection \"Icons\""));
        }

        [Test]
        public void ADamagedTableKeepsNothingElseOut()
        {
            AssetTableCollection tables = Pictures("de", "en");
            tables.GetTable("de").SharedData = null;
            ImportedThumbnail de = Picture("sword", "de"), en = Picture("sword", "en");
            Import(de, en);
            Fill(de, en);
            Assert.That(Address(tables, "en", "sword"), Is.Not.EqualTo(""));
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1));
            Assert.That(FakeLog.Lines[0], Is.StringContaining(de.Path + " was refused"));
        }

        [TestCase("Assets/T/sword/sword.en.png", true)]
        [TestCase("sword/sword.en.png", true)]
        [TestCase("Assets/T/sword.en.png", false)]
        [TestCase("Assets/T/sword/sword.de.png", false)]
        [TestCase("Assets/T/sword/sword_en.png", false)]
        [TestCase("Assets/T/bigsword/sword.en.png", false)]
        public void VariantsLieBesideEachOther(string path, bool follows)
        {
            var thumbnail = new ImportedThumbnail { Asset = "sword", Locale = "en", Path = path };
            Assert.That(VariantPaths.Follows(thumbnail), Is.EqualTo(follows));
            List<string> broken = VariantPaths.Broken(new[] { thumbnail });
            Assert.That(broken.Count, Is.EqualTo(follows ? 0 : 1));
            Assert.That(follows || (broken[0].Contains(path) && broken[0].Contains(VariantPaths.Template)));
        }

        private string Export(params string[] names)
        {
            StringTableExport.Export(new List<string>(names), folder.Path);
            string file = Path.Combine(folder.Path, "Localization", "Shop.csv");
            return File.Exists(file) ? File.ReadAllText(file) : "";
        }

        private void WriteManifest(string text)
        {
            File.WriteAllText(Path.Combine(folder.Path, "thumbforge.toml"), text);
        }

        [Test]
        public void WordsStandAsThePackageExportsThem()
        {
            WriteManifest(Manifest);
            StringTableCollection words = Words("Shop");
            Say(words, "quote", "He said \"no\", twice", "Zeile 1\nZeile 2");
            ((StringTable)words.GetTable("en")).AddEntry("english", "Only here");
            Say(words, "note", "hidden", "versteckt");
            words.SharedData.GetEntry("note").Metadata.AddMetadata(new ExcludeEntryFromExport());
            string id = words.SharedData.GetEntry("sword.title").Id.ToString();
            string csv = Export("Shop");
            Assert.That(csv, Is.StringStarting("Key,Id,German(de),English(en)\n"));
            Assert.That(csv, Is.StringContaining("\"sword.title\"," + id + ",\"Goldenes Schwert\",\"Golden sword\"\n"));
            Assert.That(csv, Is.StringContaining(",\"Zeile 1\nZeile 2\",\"He said \"\"no\"\", twice\"\n"));
            Assert.That(csv, Is.StringContaining(",,\"Only here\"\n"));
            Assert.That(csv, Is.Not.StringContaining("hidden"));
            Assert.That(FakeLog.Lines, Is.Empty);
        }

        [Test]
        public void AFileIsWrittenOnlyWhenItsWordsChange()
        {
            WriteManifest(Manifest);
            StringTableCollection words = Words("Shop");
            string file = Path.Combine(folder.Path, "Localization", "Shop.csv");
            string first = Export("Shop");
            // As Git may check it out on Windows.
            File.WriteAllText(file, first.Replace("\n", "\r\n"));
            var old = new DateTime(2020, 1, 2, 3, 4, 5, DateTimeKind.Utc);
            File.SetLastWriteTimeUtc(file, old);
            Export("Shop");
            Assert.That(File.GetLastWriteTimeUtc(file), Is.EqualTo(old));
            Say(words, "sword.title", "Silver sword", "Silbernes Schwert");
            Assert.That(Export("Shop"), Is.StringContaining("Silver sword"));
            Assert.That(Directory.GetFiles(Path.GetDirectoryName(file)), Is.EqualTo(new[] { file }), "a rest");
        }

        [Test]
        public void TablesWithoutAFileAreNamedOnce()
        {
            WriteManifest(Manifest);
            Words("Menu");
            Export("Menu", "Nowhere");
            Export("Menu", "Nowhere");
            Assert.That(FakeLog.Lines.Length, Is.EqualTo(1));
            foreach (string words in new[] { "Localization/Menu.csv", "no string table collection \"No" })
            {
                Assert.That(FakeLog.Lines[0], Is.StringContaining(words));
            }
        }

        [Test]
        public void WordsThatCannotBeWrittenStopTheBuild()
        {
            WriteManifest(Manifest);
            Words("Shop");
            Directory.CreateDirectory(Path.Combine(folder.Path, "Localization", "Shop.csv"));
            var failure = Assert.Throws<ThumbforgeException>(() => Export("Shop"));
            Assert.That(failure.Code, Is.EqualTo("output_file"));
            Assert.That(failure.Message, Is.StringContaining("Shop.csv"));
        }

        /// <summary>The command line on the test's folder, with data of its own; its exit code and output.</summary>
        private KeyValuePair<int, string> Thumbforge(string verb)
        {
            var start = new ProcessStartInfo(TestFolder.Program)
            {
                Arguments = verb + " \"" + folder.Path + "\" --data-dir \"" + folder.Path + "/Data\" --no-sidecar",
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                UseShellExecute = false,
                StandardOutputEncoding = Encoding.UTF8,
                StandardErrorEncoding = Encoding.UTF8,
            };
            using (Process process = Process.Start(start))
            {
                var errors = process.StandardError.ReadToEndAsync();
                string output = process.StandardOutput.ReadToEnd() + errors.Result;
                process.WaitForExit();
                return new KeyValuePair<int, string>(process.ExitCode, output);
            }
        }

        [Test]
        public void ARealPlanReadsTheWords()
        {
            WriteManifest(Manifest);
            StringTableCollection words = Words("Shop");
            Export("Shop");
            KeyValuePair<int, string> built = Thumbforge("batch");
            Assert.That(built.Key, Is.EqualTo(0), built.Value);
            Assert.That(File.Exists(Path.Combine(folder.Path, "Assets", "sword", "sword.de.png")));
            Assert.That(Thumbforge("plan").Value, Is.StringContaining("0 to draw"));

            // Quotes, commas, line ends and other letters come through; one language changes, one picture is due.
            ((StringTable)words.GetTable("de")).AddEntry("sword.title", "Das \"große\" Schwert,\nneu: 剣");
            Export("Shop");
            KeyValuePair<int, string> plan = Thumbforge("plan");
            Assert.That(plan.Value, Is.StringContaining("1 to draw"));
            Assert.That(plan.Value, Is.StringContaining("sword.de.png"));
            Assert.That(plan.Value, Is.Not.StringContaining("sword.en.png"));

            // A word that nobody translated is what a plan fails at: the empty cell is read as none.
            ((StringTable)words.GetTable("de")).AddEntry("sword.title", "");
            Export("Shop");
            KeyValuePair<int, string> missing = Thumbforge("plan");
            Assert.That(missing.Key, Is.EqualTo(2), missing.Value);
            Assert.That(missing.Value, Is.StringContaining("missing_string"));
        }
    }
}
