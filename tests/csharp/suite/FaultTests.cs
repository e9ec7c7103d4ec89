// What goes wrong around a build: hooks and listeners that throw, files that change or are damaged meanwhile.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Native;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    /// <summary>A call whose completion throws; it notes whether somebody still tells it of its end.</summary>
    internal sealed class ThrowingCall : Call
    {
        internal string Ended = string.Empty;

        internal override PixelCopy Complete(ref TfCompletion completion)
        {
            throw new InvalidOperationException("no room for a texture");
        }

        internal override void Abandon(ThumbforgeException reason)
        {
            Ended = reason.Message;
        }
    }

    internal sealed class FaultScripts : Scripts
    {
        public string EndOfACallThatThrows()
        {
            var call = new ThrowingCall();
            Host.Connection.Send(call, Host.Connection.NewTag(CallKind.Command), "{\"verb\":\"doctor\"}");
            Until("an answer", () => Host.Existing.Count == 0);
            return call.Ended;
        }

        /// <summary>A listener chooses another data directory, which ends the session while it hands out pictures.</summary>
        public int PicturesAfterQuitting(string file)
        {
            int came = 0;
            for (int each = 0; each < 3; each++)
            {
                EditorActions.Board.RequestPreview(file, 32, shown =>
                {
                    came++;
                    UnityEngine.Object.DestroyImmediate(shown);
                    Host.Quit();
                });
            }
            Until("the pictures", () => came >= 3);
            FakeEditor.Frame();
            return came;
        }

        /// <summary>The word of the failure when the program is brought to a folder.</summary>
        public string Install(string packed, string folder)
        {
            try
            {
                return Installation.Install(packed, folder);
            }
            catch (ThumbforgeException failure)
            {
                return failure.Code;
            }
        }

        /// <summary>How many looks at the files it takes to answer many wishes for one, and whether the last came after all wishes.</summary>
        public int LooksFor(int wishes)
        {
            int looks = 0;
            Builds.Ended += result => looks += result.Build.kind == BuildKind.Survey ? 1 : 0;
            for (int wish = 0; wish < wishes; wish++)
            {
                EditorActions.Board.Refresh();
            }
            File.AppendAllText("thumbforge.toml", "\n[assets.cudgel]\ntemplate = \"item\"\nvars = { subject = \"a cudgel\" }\n");
            File.AppendAllText("Strings.csv", "cudgel.title,It,Es\n");
            EditorActions.Board.Refresh();
            Until("the last look", () => Builds.Open.Count == 0 && Host.Existing.Count == 0);
            Assert.That(EditorActions.Board.Rows.Any(row => row.Asset == "cudgel"));
            return looks;
        }

        public int LiveTextures()
        {
            return FakeTextures.Live;
        }

        /// <summary>Imports a picture as if Unity had never seen it.</summary>
        public void ImportAnew(string path)
        {
            File.Delete(path + ".meta");
            AssetDatabase.ImportAsset(path, ImportAssetOptions.ForceUpdate);
        }

        public void ThrowAfterImport()
        {
            BuildHooks.AfterImport.Add(imported => { throw new InvalidOperationException("a hook's own fault"); });
        }

        public void ThrowBeforeBuild()
        {
            BuildHooks.BeforeBuild.Add(manifest => { throw new InvalidOperationException("a hook's own fault"); });
        }

        public void ThrowInListeners()
        {
            Builds.Told += (build, said) => { throw new InvalidOperationException("a listener's own fault"); };
            Builds.Ended += result => { throw new InvalidOperationException("a listener's own fault"); };
        }

        public int Batch(params string[] arguments)
        {
            FakeEditor.Batch = true;
            return Thumbforge.Editor.Batch.Run(arguments);
        }

        /// <summary>How a build ends for the script that waits: the report's words, or the failure's.</summary>
        public string Regenerate()
        {
            Task<RegenerationReport> task = Thumbnails.RegenerateAsync(null);
            Until("the end of the build", () => task.IsCompleted);
            return task.IsFaulted ? task.Exception.InnerException.ToString() : task.Result.ToString();
        }

        /// <summary>Somebody breaks the manifest while version control is asked.</summary>
        public void BreakTheManifestMeanwhile()
        {
            FakeAssets.Asked = paths => File.WriteAllText("thumbforge.toml", "project = [");
        }

        public void BeginDraft(string assetPath)
        {
            EditorActions.GenerateDraft(new[] { assetPath });
            Until("the plan of the draft", () => Builds.Open.Any(build => build.kind == BuildKind.Draft && build.job != 0));
        }

        /// <summary>Frames without anybody looking, until no build is open.</summary>
        public void UntilNothingIsOpen()
        {
            FakeEditor.Frame();
            Until("the end of all builds", () => Builds.Open.Count == 0 && Host.Existing.Count == 0);
        }

        public string[] Drafts()
        {
            return EditorActions.Board.Rows.Where(row => row.DraftFile.Length > 0).Select(row => row.Asset).ToArray();
        }

        /// <summary>How often a preview that cannot be asked for is answered.</summary>
        public int PreviewsAnswered(int asked)
        {
            int answered = 0;
            for (int each = 0; each < asked; each++)
            {
                EditorActions.Board.RequestPreview("/nowhere.png", 96, shown => answered++);
            }
            return answered;
        }

        /// <summary>What the window says of a decision that failed, after previews have come and the files were looked at.</summary>
        public string TroubleThatStays()
        {
            Board board = EditorActions.Board;
            board.Accept(new Row { Asset = "cudgel", Locale = "en" });
            Until("an answer", () => Host.Existing.Count == 0);
            string trouble = board.Trouble;
            int answered = 0;
            board.RequestPreview("/nowhere.png", 96, shown => answered++);
            board.Refresh();
            Until("a preview and a look", () => Host.Existing.Count == 0 && Builds.Open.Count == 0 && answered == 1);
            Assert.That(board.Trouble, Is.EqualTo(trouble));
            return trouble;
        }

        public int RunningProgressItems()
        {
            return UnityEditor.Progress.GetRunningProgressCount();
        }

        public string[] Log()
        {
            return FakeLog.Lines;
        }
    }

    [TestFixture]
    internal sealed class FaultTests
    {
        private EditorProcess editor;
        private Manifest manifest;
        private FaultScripts scripts;

        [SetUp]
        public void Start()
        {
            Begin(false, "project");
        }

        private void Begin(bool linked, string name)
        {
            editor = new EditorProcess(linked, name);
            manifest = new Manifest(editor.Project);
            manifest.Write();
            scripts = editor.Load<FaultScripts>();
            scripts.Frame();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        private string Said()
        {
            return string.Join("\n", scripts.Log());
        }

        [Test]
        public void AHookThatThrowsAfterTheImportEndsABuildAsFailed()
        {
            scripts.ThrowAfterImport();
            // The time is for the case that it never ends.
            Assert.That(scripts.Batch("-thumbforgeTimeout", "10"), Is.EqualTo(3), Said());
            Assert.That(Said(), Is.StringContaining("a hook's own fault"));
            Assert.That(scripts.RunningProgressItems(), Is.EqualTo(0));
        }

        [Test]
        public void AHookThatThrowsBeforeABuildBeginsNone()
        {
            scripts.ThrowBeforeBuild();
            Assert.That(scripts.Batch("-thumbforgeTimeout", "10"), Is.EqualTo(3), Said());
            Assert.That(scripts.RunningProgressItems(), Is.EqualTo(0));
        }

        [Test]
        public void WhoeverOnlyLooksRunsNoHook()
        {
            scripts.ThrowBeforeBuild();
            Assert.That(scripts.Batch("-thumbforgeCheck"), Is.EqualTo(7), Said());
            Assert.That(scripts.Batch("-thumbforgeDryRun"), Is.EqualTo(0), Said());
            Assert.That(scripts.Batch("-thumbforgeTimeout", "10"), Is.EqualTo(3), Said());
        }

        [Test]
        public void TexturesAreImportedWithoutProfilesThatCannotBeRead()
        {
            Assert.That(scripts.Batch(), Is.EqualTo(0), Said());
            string profiles = Path.Combine(editor.Project, "Library/Thumbforge/profiles.json");
            File.WriteAllText(profiles, "{\"files\":[{");
            scripts.ImportAnew(Manifest.PathOf("axe", "en"));
            Assert.That(Said(), Is.StringContaining("profiles.json"));
        }

        [Test]
        public void ListenersThatThrowKeepNoBuildFromItsEnd()
        {
            scripts.ThrowInListeners();
            Assert.That(scripts.Batch("-thumbforgeTimeout", "10"), Is.EqualTo(0), Said());
            Assert.That(scripts.RunningProgressItems(), Is.EqualTo(0));
            Assert.That(Directory.GetFiles(Path.Combine(editor.Project, "Library/Thumbforge/Builds")), Is.Empty);
        }

        [Test]
        public void WhatWasPlannedIsNotWhatWasMade()
        {
            Assert.That(scripts.Regenerate(), Is.StringContaining("4 drawn"));
            manifest.Subject = "a barrel";
            manifest.Write();
            scripts.BreakTheManifestMeanwhile();
            Assert.That(scripts.Regenerate(), Is.StringStarting("[invalid_manifest]"));
        }

        [Test]
        public void ReportsOfAnEarlierRunAreGoneWhenThereIsNone()
        {
            string report = Path.Combine(editor.Project, "report.json"), junit = Path.Combine(editor.Project, "junit.xml");
            string[] arguments = { "-thumbforgeReport", report, "-thumbforgeJUnit", junit };
            Assert.That(scripts.Batch(arguments), Is.EqualTo(0), Said());
            Assert.That(File.Exists(report) && File.Exists(junit));
            File.WriteAllText(Path.Combine(editor.Project, "thumbforge.toml"), "project = [");
            Assert.That(scripts.Batch(arguments), Is.EqualTo(2), Said());
            Assert.That(File.Exists(report), Is.False, "the report says that all is well");
            Assert.That(File.ReadAllText(junit), Is.StringContaining("<failure type=\"invalid_manifest\""));
            Assert.That(scripts.Batch(arguments.Concat(new[] { "-thumbforgeProgram", "/nowhere" }).ToArray()), Is.EqualTo(4), Said());
            Assert.That(File.Exists(junit), Is.False, "the page of the run before");
        }

        [Test]
        public void ADraftThatEndsAfterAReloadWaitsForADecision()
        {
            manifest.Side = 1024;
            manifest.Write();
            scripts.Regenerate();
            scripts.BeginDraft(Manifest.PathOf("axe", "en"));
            // The window is closed, so nobody has a board when the draft ends.
            scripts = editor.Reload<FaultScripts>();
            scripts.UntilNothingIsOpen();
            Assert.That(scripts.Drafts(), Is.EqualTo(new[] { "axe" }));
            scripts = editor.Reload<FaultScripts>();
            Assert.That(scripts.Drafts(), Is.EqualTo(new[] { "axe" }));
        }

        [TestCase("")]
        [TestCase("{\"drafts\":[{\"file\":")]
        [TestCase("{\"drafts\":[{\"file\":\"\"}]}")]
        [TestCase("[]")]
        public void ADamagedBookOfDraftsIsNoneAndTheWindowOpens(string book)
        {
            string folder = Path.Combine(editor.Project, "Library/Thumbforge");
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "drafts.json"), book);
            Assert.That(scripts.Drafts(), Is.Empty);
        }

        [Test]
        public void AProjectBehindALinkIsImportedToo()
        {
            editor.Dispose();
            Begin(true, "project");
            Assert.That(scripts.Regenerate(), Is.StringContaining("4 drawn"));
            Assert.That(FakeAssets.Imports, Has.Member(Manifest.PathOf("axe", "en")));
        }

        [TestCase("Mein Spiel, neu")]
        [TestCase("Übung 日本語")]
        [TestCase("100% #1 & 'more'")]
        public void FoldersAreCalledWhateverPeopleLike(string name)
        {
            editor.Dispose();
            Begin(false, name);
            Assert.That(scripts.Regenerate(), Is.StringContaining("4 drawn"));
            Assert.That(FakeAssets.Imports, Has.Member(Manifest.PathOf("axe", "en")));
            Assert.That(scripts.Batch("-thumbforgeCheck"), Is.EqualTo(0), Said());
        }

        [Test]
        public void APreviewThatCannotBeAskedForIsAnsweredAllTheSame()
        {
            Assert.That(scripts.PreviewsAnswered(3), Is.EqualTo(0), "they are on their way");
            editor.Dispose();
            editor = new EditorProcess { Program = "/nowhere/thumbforge" };
            scripts = editor.Load<FaultScripts>();
            Assert.That(scripts.PreviewsAnswered(3), Is.EqualTo(3));
        }

        [Test]
        public void WhatWentWrongWithADecisionStaysToBeRead()
        {
            Assert.That(scripts.TroubleThatStays(), Is.StringContaining("cudgel"));
        }

        [Test]
        public void WhoeverWaitsForWhatCannotBeTakenInIsTold()
        {
            Assert.That(scripts.EndOfACallThatThrows(), Is.EqualTo("no room for a texture"));
        }

        [Test]
        public void ASessionMayEndWhileItHandsOutPictures()
        {
            scripts.Regenerate();
            Assert.That(scripts.PicturesAfterQuitting(Path.Combine(editor.Project, Manifest.PathOf("axe", "en"))), Is.EqualTo(3));
            Assert.That(UnityEngine.FakeLog.Errors, Is.Empty);
            Assert.That(scripts.LiveTextures(), Is.EqualTo(0));
        }

        [Test]
        public void ADataDirectoryThatIsNoneIsAFailureWithAWord()
        {
            string file = Path.Combine(editor.Project, "a file");
            File.WriteAllText(file, "something");
            Assert.That(scripts.Install(file, Path.Combine(file, "bin")), Is.EqualTo("output_file"));
            Assert.That(scripts.Install(file, "/proc/bin"), Is.EqualTo("output_file"));
        }

        [Test]
        public void ManyDecisionsOneAfterAnotherAreTwoLooksAtTheFiles()
        {
            Assert.That(scripts.LooksFor(20), Is.LessThanOrEqualTo(2));
        }
    }
}
