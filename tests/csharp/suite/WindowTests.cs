// The window: what it shows of a board, what its buttons and keys ask for, and what it leaves alone.
using System;
using System.Collections.Generic;
using System.Text.RegularExpressions;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class WindowTests
    {
        private TestFolder folder;
        private WindowBoard board;
        private ThumbforgeWindow window;
        private VisualElement root;
        private ListView list;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            board = new WindowBoard();
            board.Add("dragon", "de", RowState.Draft, true);
            board.Add("dragon", "ja", RowState.Draft, true);
            board.Add("dragon", "en", RowState.Done);
            board.Add("potion", "de", RowState.Running);
            board.Add("potion", "en", RowState.Failed).Message = "the provider refused the prompt";
            board.Add("sword", "de", RowState.Kept);
            board.Add("sword", "", RowState.Missing);
        }

        [TearDown]
        public void End()
        {
            if (window != null)
            {
                UnityEngine.Object.DestroyImmediate(window);
                window = null;
            }
            FakeEditor.Leave();
            folder.Dispose();
        }

        private void Open()
        {
            window = ScriptableObject.CreateInstance<ThumbforgeWindow>();
            window.Board = board;
            window.Show();
            root = window.rootVisualElement;
            list = root.Q<ListView>("queue");
        }

        private void Change()
        {
            board.Changed();
            window.Tick();
        }

        private T Find<T>(string name) where T : VisualElement
        {
            var found = root.Q<T>(name);
            Assert.That(found, Is.Not.Null, name);
            return found;
        }

        private string Shown()
        {
            var shown = new List<string>();
            foreach (Row row in (IEnumerable<Row>)list.itemsSource)
            {
                shown.Add(row.Asset + "." + row.Locale);
            }
            return string.Join(" ", shown.ToArray());
        }

        private void Press(KeyCode key, EventModifiers modifiers = EventModifiers.None, VisualElement target = null)
        {
            (target ?? list).SendEvent(KeyDownEvent.GetPooled('\0', key, modifiers));
        }

        private static void SetDropdown(DropdownField field, string choice)
        {
            Assert.That(field.choices, Has.Member(choice));
            field.value = choice;
        }

        [Test]
        public void EveryControlSaysWhatItDoes()
        {
            Open();
            board.Trouble = "no";
            Change();
            Predicate<VisualElement> isControl = each => (each is Button || each is DropdownField || each is TextField
                || each is Foldout)
                && each.GetFirstAncestorOfType<UnityEditor.UIElements.ToolbarSearchField>() == null;
            List<VisualElement> controls = UQueryExtensions.All(root, isControl);
            Assert.That(controls.Count, Is.GreaterThan(15));
            Assert.That(controls.FindAll(each => each.tooltip == "" && each.name != "strip-action").ConvertAll(each =>
                each.name), Is.Empty);
        }

        [Test]
        public void FiltersByStateAndLocaleAndWords()
        {
            Open();
            Assert.That(Shown(), Is.EqualTo("dragon.de dragon.ja dragon.en potion.de potion.en sword.de sword."));
            SetDropdown(Find<DropdownField>("filter-state"), "Needs a decision");
            Assert.That(Shown(), Is.EqualTo("dragon.de dragon.ja"));
            SetDropdown(Find<DropdownField>("filter-locale"), "ja");
            Assert.That(Shown(), Is.EqualTo("dragon.ja"));
            SetDropdown(Find<DropdownField>("filter-state"), "All states");
            SetDropdown(Find<DropdownField>("filter-locale"), "All locales");
            Find<UnityEditor.UIElements.ToolbarSearchField>("search").value = "PROMPT refused";
            Assert.That(Shown(), Is.EqualTo("potion.en"));
        }

        [TestCase("In progress", "potion.de")]
        [TestCase("Problems", "potion.en")]
        [TestCase("Kept", "sword.de")]
        [TestCase("Not drawn", "sword.")]
        [TestCase("Done", "dragon.en")]
        public void AStateIsAFilter(string state, string expected)
        {
            Open();
            SetDropdown(Find<DropdownField>("filter-state"), state);
            Assert.That(Shown(), Is.EqualTo(expected));
        }

        [Test]
        public void FiltersThatLetNothingThroughCanBeCleared()
        {
            Open();
            Find<UnityEditor.UIElements.ToolbarSearchField>("search").value = "nothing like it";
            Assert.That(Find<VisualElement>("no-match").Shown);
            Assert.That(Find<Button>("clear-filters").Press());
            Assert.That(list.itemsSource.Count, Is.EqualTo(7));
            Assert.That(Find<UnityEditor.UIElements.ToolbarSearchField>("search").value, Is.EqualTo(""));
            Assert.That(!Find<VisualElement>("no-match").Shown);
        }

        [Test]
        public void TheSelectionStaysOnItsPictureWhileRowsComeAndGo()
        {
            Open();
            list.SetSelection(4);
            Assert.That(Find<Label>("title").text, Is.EqualTo("potion"));
            board.List.RemoveAt(0);
            board.List.Insert(0, new Row { Id = "a", Asset = "axe" });
            board.List.Insert(0, new Row { Id = "b", Asset = "bow" });
            // The board may put a new object in the place of the old one.
            board.List[5] = new Row { Id = Row.IdOf("potion", "en"), Asset = "potion", Locale = "en",
                State = RowState.Done };
            Change();
            Assert.That(list.selectedIndex, Is.EqualTo(5));
            Assert.That(Find<Label>("notice").Shown, Is.False);
            Assert.That(root.Q<VisualElement>("state-box").ClassListContains("tf-state--done"));
        }

        [Test]
        public void APictureThatTheFilterHidesStaysInView()
        {
            Open();
            list.SetSelection(3);
            SetDropdown(Find<DropdownField>("filter-state"), "In progress");
            board.List[3].State = RowState.Done;
            Change();
            Assert.That(list.selectedIndex, Is.EqualTo(-1));
            Assert.That(Find<Label>("title").text, Is.EqualTo("potion"));
            board.List.RemoveAt(3);
            Change();
            Assert.That(Find<VisualElement>("none").Shown);
        }

        [Test]
        public void ADecisionMovesOnToTheNextPicture()
        {
            Open();
            SetDropdown(Find<DropdownField>("filter-state"), "Needs a decision");
            list.SetSelection(0);
            Press(KeyCode.Return);
            Assert.That(board.Calls, Is.EqualTo(new[] { "accept dragon.de" }));
            // The answer takes a moment, and other things change meanwhile.
            Change();
            Assert.That(Find<VisualElement>("details").Q<Label>("locale").text, Is.EqualTo("de"));
            board.List[0].DraftFile = "";
            board.List[0].State = RowState.Done;
            Change();
            Assert.That(Shown(), Is.EqualTo("dragon.ja"));
            Assert.That(Find<VisualElement>("details").Q<Label>("locale").text, Is.EqualTo("ja"));
            Press(KeyCode.Return);
            Assert.That(board.Calls[1], Is.EqualTo("accept dragon.ja"));
        }

        [Test]
        public void ButtonsAskTheBoard()
        {
            Open();
            list.SetSelection(0);
            Assert.That(Find<Button>("accept").Press());
            Assert.That(Find<Button>("reroll").Press());
            Assert.That(Find<Button>("promote").Press());
            Assert.That(Find<Button>("cancel").Press(), Is.False);
            list.SetSelection(3);
            Assert.That(Find<Button>("accept").Press(), Is.False);
            Assert.That(Find<Button>("promote").Press(), Is.False);
            Assert.That(Find<Button>("cancel").Press());
            Assert.That(Find<Button>("cancel-all").Press());
            Assert.That(Find<Button>("regenerate-all").Press());
            Assert.That(board.Calls, Is.EqualTo(new[]
            {
                "accept dragon.de", "reroll dragon.de", "promote dragon.de", "cancel potion.de", "cancel all",
                "regenerate all",
            }));
        }

        [Test]
        public void ARejectionAsksForItsReasonInPlace()
        {
            Open();
            list.SetSelection(1);
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
            Press(KeyCode.Delete);
            Assert.That(Find<VisualElement>("reject-form").Shown);
            var reason = Find<TextField>("reason");
            Assert.That(Focusable.Focused, Is.SameAs(reason));
            reason.value = " the dragon has five legs ";
            Press(KeyCode.Return, EventModifiers.None, reason.Text);
            Assert.That(board.Calls, Is.EqualTo(new[] { "reject dragon.ja: the dragon has five legs" }));
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
            Assert.That(Find<Button>("reject").Press());
            Press(KeyCode.Escape, EventModifiers.None, reason.Text);
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
            Assert.That(board.Calls.Count, Is.EqualTo(1));
            Assert.That(reason.value, Is.EqualTo(""));
        }

        [Test]
        public void AReasonIsNotCarriedToAnotherPicture()
        {
            Open();
            list.SetSelection(0);
            Press(KeyCode.Delete);
            Find<TextField>("reason").value = "too dark";
            list.SetSelection(1);
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
            Press(KeyCode.Delete);
            Assert.That(Find<TextField>("reason").value, Is.EqualTo(""));
        }

        [Test]
        public void AReasonSurvivesWhatElseChanges()
        {
            Open();
            list.SetSelection(0);
            Press(KeyCode.Delete);
            Find<TextField>("reason").value = "too dark";
            board.List[3].Progress = 0.5f;
            Change();
            Assert.That(Find<VisualElement>("reject-form").Shown);
            Assert.That(Find<TextField>("reason").value, Is.EqualTo("too dark"));
        }

        [Test]
        public void KeysActOnTheSelectedPicture()
        {
            Open();
            Press(KeyCode.Return);
            Assert.That(board.Calls, Is.Empty);
            list.SetSelection(0);
            Press(KeyCode.DownArrow);
            Press(KeyCode.Return);
            Press(KeyCode.R);
            Press(KeyCode.R, EventModifiers.Control);
            Assert.That(board.Calls, Is.EqualTo(new[] { "accept dragon.ja", "reroll dragon.ja" }));
        }

        [Test]
        public void KeysDoNothingThatTheRowDoesNotAllow()
        {
            Open();
            list.SetSelection(3);
            Press(KeyCode.Return);
            Press(KeyCode.Delete);
            Press(KeyCode.R, EventModifiers.Control);
            Assert.That(board.Calls, Is.Empty);
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
        }

        [Test]
        public void KeysInFieldsAndOnButtonsMeanTheField()
        {
            Open();
            list.SetSelection(0);
            var search = Find<UnityEditor.UIElements.ToolbarSearchField>("search");
            Press(KeyCode.Delete, EventModifiers.None, search.Field.Text);
            Press(KeyCode.Return, EventModifiers.None, search.Field.Text);
            Press(KeyCode.Return, EventModifiers.None, Find<Button>("reroll"));
            Press(KeyCode.Return, EventModifiers.None, Find<DropdownField>("filter-state"));
            Assert.That(board.Calls, Is.Empty);
            Assert.That(Find<VisualElement>("reject-form").Shown, Is.False);
        }

        [Test]
        public void NothingIsRedrawnUnlessTheBoardChanged()
        {
            Open();
            int redraws = window.Redraws, refreshes = list.Refreshes;
            for (int each = 0; each < 50; each++)
            {
                window.Tick();
            }
            Assert.That(window.Redraws, Is.EqualTo(redraws));
            Assert.That(list.Refreshes, Is.EqualTo(refreshes));
            Change();
            Assert.That(window.Redraws, Is.EqualTo(redraws + 1));
        }

        [Test]
        public void LookingAllocatesNothingWhileNothingHappens()
        {
            Open();
            for (int each = 0; each < 100; each++)
            {
                window.Look();
            }
            GC.Collect();
            int before = GC.CollectionCount(0);
            // One object a look would fill the nursery of four megabytes eight times; other threads may fill it once.
            for (int each = 0; each < 2000000; each++)
            {
                window.Look();
            }
            Assert.That(GC.CollectionCount(0) - before, Is.LessThan(2));
        }

        [Test]
        public void StatesHaveANameAndAShape()
        {
            Open();
            var names = new HashSet<string>();
            foreach (RowState state in Enum.GetValues(typeof(RowState)))
            {
                Assert.That(names.Add(Wording.State(state)), state.ToString());
                Assert.That(Wording.StateHelp(state), Is.StringEnding("."));
                Assert.That(Wording.StateClasses, Has.Member(Wording.StateClass(state)));
                Assert.That(Wording.States, Has.Member(state));
            }
            board.List[3].Progress = 0.62f;
            Change();
            VisualElement line = list.Lines[3];
            Assert.That(line.Q<Label>("state").text, Is.EqualTo("Drawing"));
            Assert.That(line.Q<ProgressBar>("progress").value, Is.EqualTo(0.62f));
            Assert.That(line.Q<Label>("under").text, Is.EqualTo("62 %"));
            Assert.That(list.Lines[0].Q<ProgressBar>("progress").Shown, Is.False);
        }

        [Test]
        public void ALineThatIsUsedAgainShowsNothingOfTheOldRow()
        {
            Open();
            board.List.Clear();
            board.Add("axe", "fr", RowState.Queued);
            Change();
            VisualElement line = list.Lines[0];
            int classes = 0;
            foreach (string each in line.Q<VisualElement>("state-cell").GetClasses())
            {
                classes += Array.IndexOf(Wording.StateClasses, each) >= 0 ? 1 : 0;
            }
            Assert.That(classes, Is.EqualTo(1));
            Assert.That(line.Q<Image>("thumb").image.name, Is.EqualTo("/pictures/axe.fr.png"));
            Assert.That(line.Q<VisualElement>("under-line").Shown, Is.False);
        }

        [Test]
        public void WordsThatNobodyReadAreNotSaidToBeRight()
        {
            Open();
            list.SetSelection(0);
            Assert.That(Find<Label>("words-verdict").text, Is.StringStarting("Not read back: no text reader ran"));
            Assert.That(Find<VisualElement>("words-read-line").Shown, Is.False);
            board.List[0].Expected = "SALE";
            board.List[0].Read = "5ALE";
            board.List[0].TextScore = 0.75f;
            board.List[0].Findings.Add(new Finding { Code = "rendered_text_mismatch", Severity = "error",
                Message = "'SALE' not found" });
            Change();
            Assert.That(Find<Label>("words-verdict").text, Is.EqualTo("What was read back matches to 75 %."));
            Assert.That(Find<Label>("words-read").text, Is.EqualTo("5ALE"));
            Assert.That(Find<Foldout>("findings-fold").Shown);
            Assert.That(root.Q<VisualElement>(null, "tf-finding--error"), Is.Not.Null);
        }

        [TestCase("", "", -1f, "", TestName = "NobodyRead")]
        [TestCase("", "\"tesseract 5.3.0\"", 1f, "", TestName = "EverythingWasRead")]
        [TestCase("low_contrast 2.1 SALE", "\"tesseract 5.3.0\"", 1f, "", TestName = "ContrastIsNoMatch")]
        [TestCase("text_mismatch 0.75 SALE, text_mismatch 0.5 NEW", "\"tesseract 5.3.0\"", 0.5f, "NEW", TestName = "TheWorstIsKept")]
        [TestCase("text_unverified 0 SALE", "", -1f, "SALE", TestName = "UnverifiedIsNotRead")]
        public void WordsAreReadFromTheFindingsAboutWords(string findings, string readers, float score, string expected)
        {
            string[] said = System.Array.ConvertAll(
                findings.Split(new[] { ", " }, System.StringSplitOptions.RemoveEmptyEntries), finding =>
            {
                string[] parts = finding.Split(' ');
                return "{\"code\":\"" + parts[0] + "\",\"severity\":\"error\",\"message\":\"m\",\"expected\":\"" + parts[2]
                    + "\",\"score\":" + parts[1] + "}";
            });
            string verdict = "{\"passed\":true,\"findings\":[" + string.Join(",", said) + "],\"readers\":[" + readers + "]}";
            Row row = new Row();
            row.Take(JsonUtility.FromJson<ReportJson>("{\"items\":[{\"asset\":\"a\",\"verdict\":" + verdict + "}]}").items[0]);
            Assert.That(row.TextScore, Is.EqualTo(score));
            Assert.That(row.Expected, Is.EqualTo(expected));
        }

        [Test]
        public void ProvenanceIsWholeAndItsKeyCanBeCopied()
        {
            Row row = board.List[0];
            row.Model = "builtin";
            row.PlaceholderFor = "sd3.5-medium";
            row.Template = "offer";
            row.TemplateVersion = 3;
            row.Seed = 7;
            row.LatencyMs = 3210;
            row.CostMicrosUsd = -1;
            row.Key = new string('a', 64);
            row.Approval = "void";
            row.ApprovedBy = "Mira, 2026-11-20";
            Open();
            list.SetSelection(0);
            Assert.That(Find<Label>("fact-model").text, Is.EqualTo("builtin, stands in for sd3.5-medium"));
            Assert.That(Find<Label>("fact-template").text, Is.EqualTo("offer, version 3"));
            Assert.That(Find<Label>("fact-seed").text, Is.EqualTo("7"));
            Assert.That(Find<Label>("fact-time").text, Is.EqualTo("3.2 s"));
            Assert.That(Find<Label>("fact-cost").text, Is.EqualTo("unknown"));
            Assert.That(Find<Label>("approval").text,
                Is.StringContaining("the pixels changed after the decision by Mira, 2026-11-20"));
            Assert.That(Find<Button>("copy-key").Press());
            Assert.That(EditorGUIUtility.systemCopyBuffer, Is.EqualTo(row.Key));
        }

        [TestCase(0, "$0.00")]
        [TestCase(40000, "$0.04")]
        [TestCase(3125, "$0.003125")]
        [TestCase(1234567890, "$1,234.57")]
        [TestCase(-1, "unknown")]
        public void MoneyIsNeverRoundedToNothing(long micros, string expected)
        {
            Assert.That(Wording.Money(micros), Is.EqualTo(expected));
        }

        [Test]
        public void AnUnknownPriceIsNoPartOfTheTotalAndIsSaid()
        {
            board.List[0].CostMicrosUsd = 40000;
            board.List[1].CostMicrosUsd = -1;
            Assert.That(Wording.Total(board.Rows), Is.EqualTo("Total $0.04 + 1 unknown"));
        }

        [TestCase(0, "–")]
        [TestCase(999, "999 ms")]
        [TestCase(59949, "59.9 s")]
        [TestCase(59950, "1 min 00 s")]
        [TestCase(125000, "2 min 05 s")]
        public void TimesRead(long ms, string expected)
        {
            Assert.That(Wording.Duration(ms), Is.EqualTo(expected));
        }

        [Test]
        public void WithoutAManifestItSaysHowToBegin()
        {
            board.List.Clear();
            board.HasManifest = false;
            Open();
            Assert.That(Find<VisualElement>("welcome").Shown);
            Assert.That(Find<VisualElement>("split").Shown, Is.False);
            Assert.That(Find<Button>("regenerate-all").Press(), Is.False);
            Assert.That(Find<Button>("make-starter").Press());
            Assert.That(System.IO.File.ReadAllText("thumbforge.toml"), Is.StringContaining("[templates.offer]"));
            Assert.That(board.Calls, Is.EqualTo(new[] { "refresh" }));
            // What is there is never replaced.
            System.IO.File.WriteAllText("thumbforge.toml", "mine");
            Assert.That(Find<Button>("make-starter").Press());
            Assert.That(System.IO.File.ReadAllText("thumbforge.toml"), Is.EqualTo("mine"));
            Assert.That(Find<Label>("strip-text").text, Is.StringStarting("Failed to make a starter manifest"));
            board.HasManifest = true;
            Change();
            Assert.That(Find<VisualElement>("welcome").Shown, Is.False);
            Assert.That(Find<VisualElement>("nothing").Shown);
            Assert.That(Find<Button>("nothing-action").Press());
            Assert.That(board.Calls[1], Is.EqualTo("regenerate all"));
        }

        [Test]
        public void TheStarterManifestIsOneThatThumbforgeTakes()
        {
            StarterManifest.Write(folder.Path, "My Game!");
            var plan = new System.Diagnostics.ProcessStartInfo(TestFolder.Program, "plan . --json --data-dir data")
            {
                WorkingDirectory = folder.Path, UseShellExecute = false, RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using (var process = System.Diagnostics.Process.Start(plan))
            {
                string report = process.StandardOutput.ReadToEnd(), said = process.StandardError.ReadToEnd();
                process.WaitForExit();
                Assert.That(process.ExitCode, Is.EqualTo(0), said);
                Assert.That(report, Is.StringContaining("\"Assets/Thumbnails/sword/sword.de.png\""));
                Assert.That(JsonUtility.FromJson<ReportJson>(report).planned, Is.EqualTo(4));
            }
        }

        [TestCase(LinkState.Down, "Try again")]
        [TestCase(LinkState.NoProgram, "Open settings")]
        [TestCase(LinkState.OldLibrary, "Restart the editor")]
        public void ABrokenLinkSaysWhatToDo(object link, string button)
        {
            board.Link = (LinkState)link;
            board.LinkMessage = "what is wrong and what to do";
            Open();
            Assert.That(Find<VisualElement>("strip").Shown);
            Assert.That(Find<Label>("strip-text").text, Is.EqualTo(board.LinkMessage));
            Assert.That(Find<Button>("strip-action").text, Is.EqualTo(button));
            Assert.That(Find<Button>("strip-action").tooltip, Is.Not.EqualTo(""));
            Assert.That(Find<Button>("strip-action").Press());
            bool acted = board.Calls.Contains("refresh") || FakeNative.Here.Notes("opened").Length == 1;
            Assert.That(acted);
            board.Link = LinkState.Attached;
            Change();
            Assert.That(Find<VisualElement>("strip").Shown, Is.False);
        }

        [Test]
        public void WhatGoesWrongIsSaidAndTheWindowLivesOn()
        {
            board.Fault = new InvalidOperationException("the disk is full");
            Open();
            list.SetSelection(0);
            Press(KeyCode.Return);
            Assert.That(Find<Label>("strip-text").text, Is.EqualTo("Failed to accept dragon: the disk is full"));
            Assert.That(Find<Button>("strip-dismiss").Press());
            Assert.That(Find<VisualElement>("strip").Shown, Is.False);
            board.Trouble = "version control does not let it be written";
            Change();
            Assert.That(Find<Label>("strip-text").text, Is.EqualTo(board.Trouble));
            Assert.That(Find<Button>("strip-dismiss").Press());
            Change();
            Assert.That(Find<VisualElement>("strip").Shown, Is.False);
        }

        [Test]
        public void ANarrowWindowPutsDetailsBelow()
        {
            Open();
            var split = Find<TwoPaneSplitView>("split");
            root.SendEvent(GeometryChangedEvent.GetPooled(new Rect(0, 0, 0, 0), new Rect(0, 0, 400, 700)));
            Assert.That(split.orientation, Is.EqualTo(TwoPaneSplitViewOrientation.Vertical));
            VisualElement pane = Find<VisualElement>("queue-pane");
            pane.SendEvent(GeometryChangedEvent.GetPooled(new Rect(0, 0, 0, 0), new Rect(0, 0, 400, 300)));
            Assert.That(pane.ClassListContains(QueueView.CompactClass));
            Assert.That(list.Lines[0].Q<Label>("sub").text, Is.StringStarting("de · "));
            root.SendEvent(GeometryChangedEvent.GetPooled(new Rect(0, 0, 0, 0), new Rect(0, 0, 1200, 700)));
            Assert.That(split.orientation, Is.EqualTo(TwoPaneSplitViewOrientation.Horizontal));
        }

        [Test]
        public void SheetsSayOnlyWhatUssKnows()
        {
            // Of Unity 2022.3; a misspelt property is a warning there, and nothing happens.
            const string Known = " align-items align-self background-color border-bottom-width border-color border-left-width"
                + " border-radius border-top-width border-width bottom color display flex-basis flex-direction flex-grow"
                + " flex-shrink flex-wrap font-size height justify-content left margin margin-bottom margin-left margin-right"
                + " margin-top max-width min-height min-width overflow padding padding-left padding-right padding-top position"
                + " right rotate text-overflow top white-space width -unity-font-style -unity-text-align ";
            Open();
            var declared = new HashSet<string>();
            string text = string.Empty;
            foreach (StyleSheet sheet in root.Sheets)
            {
                text += Regex.Replace(sheet.Text, @"/\*.*?\*/", string.Empty);
            }
            foreach (Match each in
                Regex.Matches(text, @"^\s+([a-z-]+):", RegexOptions.Multiline))
            {
                string property = each.Groups[1].Value;
                Assert.That(property.StartsWith("--") || Known.Contains(" " + property + " "), property);
                declared.Add(property);
            }
            foreach (Match each in
                Regex.Matches(text, @"var\((--tf-[a-z-]+)"))
            {
                Assert.That(declared, Has.Member(each.Groups[1].Value));
            }
            Assert.That(declared.Count, Is.GreaterThan(50));
        }

        [TestCase("dark", false)]
        [TestCase("light", true)]
        public void ItWearsTheEditorsSkin(string skin, bool light)
        {
            FakeNative.Here.Set("skin", skin);
            Open();
            Assert.That(root.styleSheets.count, Is.EqualTo(2));
            Assert.That(root.ClassListContains("thumbforge--light"), Is.EqualTo(light));
        }
    }
}
