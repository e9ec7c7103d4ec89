// The board behind the window, with the real sidecar: what a person sees and decides, from the first draft to the final.
using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    internal sealed class BoardScripts : Scripts
    {
        private static Board Board
        {
            get { return EditorActions.Board; }
        }

        private static Row Row(string asset, string locale)
        {
            Row row = Board.Rows.FirstOrDefault(one => one.Asset == asset && one.Locale == locale);
            Assert.That(row, Is.Not.Null, asset + " " + locale);
            return row;
        }

        /// <summary>Frames with somebody looking, until nothing goes on and the board, which looks four times a second, says so.</summary>
        private static void Settle(string what)
        {
            Until(what, () =>
            {
                Board.Tick();
                return Host.Existing != null && Host.Existing.Count == 0 && Builds.Open.Count == 0 && Board.Busy.Length == 0;
            });
            Assert.That(Board.Trouble, Is.Empty, what);
        }

        public string State(string asset, string locale)
        {
            Row row = Row(asset, locale);
            return row.State + (row.DraftFile.Length > 0 ? " draft" : "") + (row.FinalFile.Length > 0 ? " final" : "")
                + (row.Approval.Length > 0 ? " " + row.Approval : "");
        }

        public string Id(string asset, string locale)
        {
            return Row(asset, locale).Id;
        }

        public long Seed(string asset, string locale)
        {
            return Row(asset, locale).Seed;
        }

        public string Folder()
        {
            return Manifests.Folder(null);
        }

        public int Look()
        {
            Settle("the first look");
            return Board.Rows.Count;
        }

        public void RegenerateAll()
        {
            Board.RegenerateAll();
            Settle("regenerating");
        }

        /// <summary>Takes one picture back as soon as it is seen on its way, while the others go on; how all of them ended.</summary>
        public string[] CancelOne(string asset, string locale)
        {
            Board.RegenerateAll();
            Until("the way of " + asset, () =>
            {
                Board.Tick();
                return !Row(asset, locale).Settled;
            });
            Board.Cancel(Row(asset, locale));
            Until("the end", () => Builds.Open.Count == 0 && Host.Existing.Count == 0);
            return Board.Rows.Select(row => row.State.ToString()).OrderBy(state => state).ToArray();
        }

        /// <summary>Regenerates with a person who answers the question with a button; what was asked so far.</summary>
        public string[] RegenerateAndAnswer(int button)
        {
            FakeDialogs.Answer(button);
            Board.RegenerateAll();
            Settle("regenerating");
            return FakeDialogs.Shown;
        }

        public void Draft(string assetPath)
        {
            EditorActions.GenerateDraft(new[] { assetPath });
            Settle("a draft");
        }

        public void Reroll(string asset, string locale)
        {
            Board.Reroll(Row(asset, locale));
            Settle("a re-roll");
        }

        public void Accept(string asset, string locale)
        {
            Board.Accept(Row(asset, locale));
            Settle("accepting");
        }

        /// <summary>Accepts, and does not stay to hear what became of it.</summary>
        public void AcceptAndLeave(string asset, string locale)
        {
            Board.Accept(Row(asset, locale));
        }

        public void Reject(string asset, string locale, string reason)
        {
            Board.Reject(Row(asset, locale), reason);
            Settle("rejecting");
        }

        public void Promote(string asset, string locale)
        {
            Board.Promote(Row(asset, locale));
            Settle("promoting");
        }

        public int Preview(string asset, string locale)
        {
            Texture2D shown = null;
            Row row = Row(asset, locale);
            Board.RequestPreview(row.DraftFile.Length > 0 ? row.DraftFile : row.FinalFile, 32, texture => shown = texture);
            Settle("a preview");
            Assert.That(shown, Is.Not.Null);
            int side = Math.Max(shown.width, shown.height);
            UnityEngine.Object.DestroyImmediate(shown);
            return side;
        }

        public int Batch(params string[] arguments)
        {
            return Thumbforge.Editor.Batch.Run(arguments);
        }

        /// <summary>Nothing changes while nothing happens, however often somebody looks.</summary>
        public bool IsQuiet()
        {
            int version = Board.Version;
            for (int frame = 0; frame < 50; frame++)
            {
                FakeEditor.Frame();
                Board.Tick();
            }
            return Board.Version == version;
        }

        public int LiveTextures()
        {
            return FakeTextures.Live;
        }
    }

    [TestFixture]
    internal sealed class BoardTests
    {
        private EditorProcess editor;
        private BoardScripts scripts;
        private string art;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
            art = Path.Combine(editor.Project, "Assets");
            Copy(Path.Combine(TestFolder.Package, "Samples~", "Starter"), art);
            scripts = editor.Load<BoardScripts>();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        private static void Copy(string from, string to)
        {
            Directory.CreateDirectory(to);
            foreach (string file in Directory.GetFiles(from))
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }
            foreach (string folder in Directory.GetDirectories(from))
            {
                Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
            }
        }

        private string Approvals()
        {
            string file = Path.Combine(art, "thumbforge.approvals");
            return File.Exists(file) ? File.ReadAllText(file) : string.Empty;
        }

        [Test]
        public void WhatIsWantedIsShownBeforeItIsThere()
        {
            Assert.That(scripts.Look(), Is.EqualTo(4));
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Missing"));
            scripts.RegenerateAll();
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final"));
            Assert.That(scripts.Preview("sword", "en"), Is.EqualTo(32));
            Assert.That(scripts.LiveTextures(), Is.EqualTo(0));
            Assert.That(scripts.IsQuiet(), "the board changes while nothing happens");
        }

        [Test]
        public void FromDraftToFinal()
        {
            scripts.Look();
            scripts.RegenerateAll();
            string final = Path.Combine(art, "Thumbnails/sword/sword.en.png");
            string guid = File.ReadAllLines(final + ".meta")[1];
            byte[] first = File.ReadAllBytes(final);

            // A draft lies outside of the assets, with the seed that the manifest gives.
            scripts.Draft("Assets/Thumbnails/sword/sword.en.png");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Draft draft final"));
            Assert.That(scripts.State("sword", "de"), Is.EqualTo("Done final"), "only what was selected");
            Assert.That(File.ReadAllBytes(final), Is.EqualTo(first));
            long before = scripts.Seed("sword", "en");

            // Another seed, another picture, still a draft.
            scripts.Reroll("sword", "en");
            long seed = scripts.Seed("sword", "en");
            Assert.That(seed, Is.Not.EqualTo(before));
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Draft draft final"));

            // Accepted: it takes its place under the same GUID, its seed is kept, and who accepted is written down.
            scripts.Accept("sword", "en");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Outdated final accepted"), "a final is wanted");
            Assert.That(File.ReadAllBytes(final), Is.Not.EqualTo(first));
            Assert.That(File.ReadAllLines(final + ".meta")[1], Is.EqualTo(guid));
            Assert.That(File.ReadAllText(Path.Combine(art, "thumbforge.toml")), Contains.Substring("seed = " + seed));
            Assert.That(Approvals(), Contains.Substring("sword\ten\t"));
            Assert.That(scripts.Batch("-thumbforgeCheck", "-thumbforgeDeny", "preview"), Is.EqualTo(7), "a draft is no final");

            // The final of the accepted seed replaces it; its pixels are others, or the approval still holds.
            scripts.RegenerateAll();
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final void").Or.EqualTo("Done final accepted"));
            foreach (string asset in new[] { "sword", "dragon" })
            {
                foreach (string locale in new[] { "en", "de" })
                {
                    if (!scripts.State(asset, locale).EndsWith("accepted"))
                    {
                        scripts.Accept(asset, locale);
                    }
                }
            }
            Assert.That(scripts.Batch("-thumbforgeRequire", "approved", "-thumbforgeDeny", "preview"), Is.EqualTo(0));
        }

        [Test]
        public void ARejectedDraftLeavesNothingAndARejectedFinalIsWrittenDown()
        {
            scripts.Look();
            scripts.RegenerateAll();
            scripts.Draft("Assets/Thumbnails/sword/sword.en.png");
            scripts.Reject("sword", "en", "too dark");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final"));
            Assert.That(Approvals(), Is.Empty);

            scripts.Reject("sword", "en", "wrong hilt");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final rejected"));
            Assert.That(Approvals(), Contains.Substring("wrong hilt"));
            scripts.Accept("sword", "en");
            scripts.Reroll("sword", "en");
            scripts.Reject("sword", "en", "the old one is better");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final accepted"), "it is the final's again");
            scripts.Reject("sword", "en", "wrong hilt after all");
            Assert.That(scripts.Batch("-thumbforgeRequire", "approved"), Is.EqualTo(7));
        }

        [Test]
        public void APromotedDraftIsTheFinalOfAllLocales()
        {
            scripts.Look();
            scripts.RegenerateAll();
            scripts.Draft("Assets/Thumbnails/sword/sword.en.png");
            scripts.Reroll("sword", "en");
            long seed = scripts.Seed("sword", "en");
            scripts.Promote("sword", "en");
            Assert.That(scripts.Seed("sword", "de"), Is.EqualTo(seed));
            Assert.That(File.ReadAllText(Path.Combine(art, "thumbforge.toml")), Contains.Substring("seed = " + seed));
            Assert.That(scripts.Batch("-thumbforgeCheck"), Is.EqualTo(0), "the manifest wants just this");

            // What is accepted now is the final that was promoted, and not the draft that it came from.
            byte[] final = File.ReadAllBytes(Path.Combine(art, "Thumbnails/sword/sword.en.png"));
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final"));
            scripts.Accept("sword", "en");
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final accepted"));
            Assert.That(File.ReadAllBytes(Path.Combine(art, "Thumbnails/sword/sword.en.png")), Is.EqualTo(final));
        }

        [Test]
        public void OnePictureIsTakenBackAndTheOthersComeAllTheSame()
        {
            // Large ones, so that the last is still on its way when it is seen.
            string manifest = Path.Combine(art, "thumbforge.toml");
            File.WriteAllText(manifest, File.ReadAllText(manifest).Replace("256x256", "2048x2048"));
            scripts.Look();
            Assert.That(scripts.CancelOne("sword", "en"), Is.EqualTo(new[] { "Cancelled", "Done", "Done", "Done" }));
        }

        [Test]
        public void WhatWasChangedByHandIsReplacedOnlyWhenAPersonSaysSo()
        {
            const int Replace = 0, Keep = 1;
            scripts.Look();
            scripts.RegenerateAll();
            string final = Path.Combine(art, "Thumbnails/sword/sword.en.png");
            byte[] drawn = File.ReadAllBytes(final);
            byte[] painted = File.ReadAllBytes(Path.Combine(art, "Thumbnails/dragon/dragon.en.png"));
            File.WriteAllBytes(final, painted);

            Assert.That(scripts.RegenerateAndAnswer(Keep).Last(), Contains.Substring("Thumbnails/sword/sword.en.png"));
            Assert.That(File.ReadAllBytes(final), Is.EqualTo(painted));
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Kept final"));

            scripts.RegenerateAndAnswer(Replace);
            Assert.That(File.ReadAllBytes(final), Is.EqualTo(drawn));
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Done final"));
        }

        [Test]
        public void WhatWasAcceptedJustBeforeAReloadWaitsForNoDecision()
        {
            scripts.Look();
            scripts.RegenerateAll();
            scripts.Draft("Assets/Thumbnails/sword/sword.en.png");
            scripts.Reroll("sword", "en");
            scripts.AcceptAndLeave("sword", "en");
            scripts = editor.Reload<BoardScripts>();
            scripts.Look();
            Assert.That(scripts.State("sword", "en"), Is.EqualTo("Outdated final accepted"));
        }

        [Test]
        public void DraftsOutliveAReload()
        {
            scripts.Look();
            scripts.RegenerateAll();
            scripts.Draft("Assets/Thumbnails/dragon/dragon.de.png");
            scripts = editor.Reload<BoardScripts>();
            scripts.Look();
            Assert.That(scripts.State("dragon", "de"), Is.EqualTo("Draft draft final"));
        }
    }
}
