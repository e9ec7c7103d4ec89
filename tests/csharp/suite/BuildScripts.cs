// Scripts that build a manifest, and what they say of it to the test outside.
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    /// <summary>A report, as it crosses domains.</summary>
    [Serializable]
    internal sealed class Told
    {
        internal int Exit;
        internal int Drawn;
        internal int Unchanged;
        internal int Kept;
        internal string Message;
        internal Dictionary<string, string> States = new Dictionary<string, string>();
        internal Dictionary<string, string> Keys = new Dictionary<string, string>();
    }

    internal sealed class BuildScripts : Scripts
    {
        private CancellationTokenSource cancel;
        private readonly List<string> ended = new List<string>();
        private Task<RegenerationReport> task;
        private string[] asked = new string[0];
        private string[] seenThen = new string[0];

        protected override void Loaded()
        {
            Builds.Ended += result => ended.Add(result.Exit + " " + result.Imported.Count);
        }

        internal static RegenerationFilter Filter(bool force)
        {
            return new RegenerationFilter { Force = force };
        }

        public void Begin(bool force = false)
        {
            cancel = new CancellationTokenSource();
            task = Thumbnails.RegenerateAsync(null, Filter(force), null, cancel.Token);
        }

        public void Cancel()
        {
            cancel.Cancel();
        }

        /// <summary>The end of what was begun: "done", "cancelled", or the failure's word.</summary>
        public string Ending()
        {
            Until("the end of the build", () => task.IsCompleted);
            return task.IsCanceled ? "cancelled"
                : task.IsFaulted ? ((ThumbforgeException)task.Exception.InnerException).Code
                : "done";
        }

        public Told Regenerate(bool force = false)
        {
            Begin(force);
            Until("the end of the build", () => task.IsCompleted);
            if (task.IsFaulted)
            {
                throw new InvalidOperationException(task.Exception.InnerException.ToString());
            }
            RegenerationReport report = task.Result;
            var told = new Told
            {
                Exit = report.ExitCode, Message = report.Message, Drawn = report.Rendered + report.Cached,
                Unchanged = report.Unchanged, Kept = report.Kept,
            };
            foreach (RegeneratedThumbnail item in report.Items)
            {
                told.States[item.Path] = item.State;
                told.Keys[item.Path] = item.Key;
            }
            return told;
        }

        /// <summary>Frames until a picture of the build has ended, but not all.</summary>
        public void UntilHalfway()
        {
            Until("a part of the build", () => Builds.Open.Count > 0 && Builds.Open[0].done > 0 || ended.Count > 0);
        }

        /// <summary>Frames until no build is open; how each ended that these scripts saw.</summary>
        public string[] UntilNothingIsOpen()
        {
            FakeEditor.Frame();
            Until("the end of all builds", () => Builds.Open.Count == 0);
            return ended.ToArray();
        }

        /// <summary>What an artist does to the importer of a picture.</summary>
        public void SetImporter(string path, int maxSize, string userData)
        {
            var importer = (TextureImporter)AssetImporter.GetAtPath(path);
            importer.maxTextureSize = maxSize;
            importer.userData = userData ?? importer.userData;
            importer.SaveAndReimport();
        }

        /// <summary>Settings that the importer of a picture has.</summary>
        public string Importer(string path)
        {
            var importer = (TextureImporter)AssetImporter.GetAtPath(path);
            TextureImporterPlatformSettings android = importer.GetPlatformTextureSettings("Android");
            string phone = android.overridden ? " android " + android.maxTextureSize + " " + android.format : "";
            return importer.textureType + " " + importer.spriteImportMode + " " + importer.maxTextureSize + " " +
                (importer.mipmapEnabled ? "mipmaps" : "flat") + " " + importer.spriteBorder + phone;
        }

        public string UserData(string path)
        {
            return AssetImporter.GetAtPath(path).userData;
        }

        public bool HasSprite(string path)
        {
            return AssetDatabase.LoadAssetAtPath<Sprite>(path) != null;
        }

        public string[] Labels(string path)
        {
            return AssetDatabase.GetLabels(AssetDatabase.LoadMainAssetAtPath(path));
        }

        public void SetLabels(string path, params string[] labels)
        {
            AssetDatabase.SetLabels(AssetDatabase.LoadMainAssetAtPath(path), labels);
        }

        /// <summary>Notes which paths were to be made editable, and what the files held at that moment.</summary>
        public void WatchEditable()
        {
            FakeAssets.Asked = paths =>
            {
                asked = paths;
                seenThen = Array.ConvertAll(paths, path => Convert.ToBase64String(File.ReadAllBytes(path)));
            };
        }

        public string[] AskedEditable()
        {
            return asked;
        }

        public string[] SeenThen()
        {
            return seenThen;
        }

        public void Refresh()
        {
            AssetDatabase.Refresh();
        }

        /// <summary>What a headless editor runs; the exit code.</summary>
        public int Batch(params string[] arguments)
        {
            FakeEditor.Batch = true;
            const string Entry = "Thumbforge.Editor.Batch.Regenerate";
            var line = new List<string> { "Unity", "-batchmode", "-executeMethod", Entry };
            line.AddRange(arguments);
            return Thumbforge.Editor.Batch.Run(line.ToArray());
        }

        /// <summary>The entry itself, which ends the editor; the exit code that the process would have.</summary>
        public int BatchToTheEnd()
        {
            UserSettings.ProgramPath = Installation.ProgramOverride;
            UserSettings.DataDirectory = Installation.DataDirectoryOverride;
            FakeEditor.Batch = true;
            Assert.Throws<FakeExit>(Thumbforge.Editor.Batch.Regenerate);
            return FakeEditor.ExitCode.Value;
        }

        public string[] Log()
        {
            return FakeLog.Lines;
        }

        /// <summary>How the items of the progress window stand.</summary>
        public string[] ProgressStates()
        {
            return Array.ConvertAll(FakeNative.Here.ProgressItems(), item => item.Status.ToString());
        }

        public bool CancelByProgress()
        {
            Until("a progress item", () => UnityEditor.Progress.GetRunningProgressCount() > 0);
            FakeProgressItem[] items = FakeNative.Here.ProgressItems();
            return UnityEditor.Progress.Cancel(items[items.Length - 1].Id);
        }
    }
}
