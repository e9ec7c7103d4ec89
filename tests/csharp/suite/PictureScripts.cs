// Scripts that ask for pictures, one asset each, and look at what comes.
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Native;
using UnityEditor;

namespace Thumbforge.Tests
{
    internal sealed class PictureScripts : Scripts
    {
        private readonly Dictionary<string, Task<Thumbnail>> tasks = new Dictionary<string, Task<Thumbnail>>();
        private readonly CancellationTokenSource cancel = new CancellationTokenSource();
        private readonly List<string> recovered = new List<string>();

        internal static ThumbnailRequest Request(string asset, int side)
        {
            return new ThumbnailRequest
            {
                Prompt = "a wooden crate, " + asset, Asset = asset, Locale = "de", Model = "builtin",
                Width = side, Height = side,
            };
        }

        protected override void Loaded()
        {
            Thumbnails.Recovered += thumbnail =>
            {
                recovered.Add(thumbnail.Asset);
                Look(thumbnail, thumbnail.Asset);
            };
        }

        /// <summary>Asks for crates `from` to `to`, without `to`.</summary>
        public void Ask(int from, int to, int side)
        {
            for (int number = from; number < to; number++)
            {
                string asset = "crate " + number;
                tasks[asset] = Thumbnails.GenerateAsync(Request(asset, side));
            }
        }

        /// <summary>Asks for one that can be taken back.</summary>
        public void AskCancellable(string asset, int side)
        {
            tasks[asset] = Thumbnails.GenerateAsync(Request(asset, side), cancel.Token);
        }

        /// <summary>Asks until there is no room; how many there was room for.</summary>
        public int AskUntilFull(int most)
        {
            for (int number = 0; number < most; number++)
            {
                try
                {
                    Ask(number, number + 1, 16);
                }
                catch (ThumbforgeException failure)
                {
                    Assert.That(failure.Code, Is.EqualTo("queue_full"));
                    Assert.That(failure.Message, Is.Not.Empty);
                    return number;
                }
            }
            return most;
        }

        public void CancelWhileRunning(string asset)
        {
            Call call = null;
            foreach (Call one in Host.Existing.Calls)
            {
                call = ((PictureCall)one).Request.Asset == asset ? one : call;
            }
            TfProgress progress;
            Until("the drawing of " + asset, () =>
                NativeJob.TryProgress(call.Job, out progress) && progress.state == NativeMethods.TF_JOB_RUNNING);
            cancel.Cancel();
        }

        public void Cancel()
        {
            cancel.Cancel();
        }

        /// <summary>The texture's bytes of one that was asked for.</summary>
        public byte[] Pixels(string asset)
        {
            Task<Thumbnail> task = tasks[asset];
            Until(asset, () => task.IsCompleted);
            using (Thumbnail thumbnail = task.Result)
            {
                return thumbnail.Texture.GetRawTextureData();
            }
        }

        /// <summary>Frames until so many have come; their names.</summary>
        public string[] TakeAtLeast(int count)
        {
            Until(count + " pictures", () => Ended().Count >= count);
            return Take();
        }

        public string[] TakeRecovered(int count)
        {
            Until(count + " recovered pictures", () =>
                recovered.Count >= count || UnityEngine.FakeLog.Errors.Length > 0);
            // Anything more would be one too many.
            for (int frame = 0; frame < 20; frame++)
            {
                FakeEditor.Frame();
            }
            return recovered.ToArray();
        }

        /// <summary>How one ended: done, cancelled, or the word of its failure.</summary>
        public string Ending(string asset)
        {
            Task<Thumbnail> task = tasks[asset];
            Until("the end of " + asset, () => task.IsCompleted);
            return task.IsCanceled ? "cancelled"
                : task.IsFaulted ? ((ThumbforgeException)task.Exception.InnerException).Code
                : "done";
        }

        /// <summary>Polls one completion and keeps it, as scripts do that are unloaded within a frame.</summary>
        public string PollAndKeep()
        {
            var field = typeof(Connection).GetField("session",
                System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.NonPublic);
            var session = (NativeSession)field.GetValue(Host.Existing);
            var completion = new TfCompletion[1];
            Assert.That(session.Wait(60000), "nothing came");
            Assert.That(session.Poll(completion), Is.EqualTo(1));
            return NativeJob.Text(completion[0].job, NativeMethods.TF_TEXT_ASSET);
        }

        public int Restarts()
        {
            return (int)Host.Existing.State().restarts;
        }

        public int Lent()
        {
            return (int)Host.Existing.State().lent;
        }

        public bool HasSession()
        {
            return Host.Existing != null;
        }

        public int InFlight()
        {
            return Host.Existing.Count;
        }

        public int LiveTextures()
        {
            return UnityEngine.FakeTextures.Live;
        }

        private List<string> Ended()
        {
            var ended = new List<string>();
            foreach (KeyValuePair<string, Task<Thumbnail>> task in tasks)
            {
                if (task.Value.IsCompleted)
                {
                    ended.Add(task.Key);
                }
            }
            return ended;
        }

        private string[] Take()
        {
            List<string> ended = Ended();
            foreach (string asset in ended)
            {
                Look(tasks[asset].Result, asset);
                tasks.Remove(asset);
            }
            return ended.ToArray();
        }

        /// <summary>Looks at a picture, and destroys it.</summary>
        private static void Look(Thumbnail thumbnail, string asset)
        {
            Assert.That(thumbnail.Asset, Is.EqualTo(asset));
            Assert.That(thumbnail.Locale, Is.EqualTo("de"));
            Assert.That(thumbnail.Engine, Is.EqualTo("builtin"));
            Assert.That(thumbnail.Key, Has.Length.EqualTo(64));
            byte[] pixels = thumbnail.Texture.GetRawTextureData();
            Assert.That(pixels.Length, Is.EqualTo(thumbnail.Texture.width * thumbnail.Texture.height * 4));
            var shades = new HashSet<byte>(pixels);
            Assert.That(shades.Count, Is.GreaterThan(8), asset + " shows nothing");
            thumbnail.Dispose();
        }
    }
}
