// Previews: asked for when they are seen, held while they are shown, and given back.
using System.Collections.Generic;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Tests
{
    [TestFixture]
    internal sealed class WindowPreviewTests
    {
        private const long Bytes = 16 * 16 * 4;
        private TestFolder folder;
        private WindowBoard board;

        [SetUp]
        public void Start()
        {
            folder = new TestFolder();
            FakeEditor.Start(folder.Path);
            board = new WindowBoard();
        }

        [TearDown]
        public void End()
        {
            FakeEditor.Leave();
            folder.Dispose();
        }

        private static PreviewCache.Key Key(string file, long written = 0)
        {
            return new PreviewCache.Key(file, 96, written);
        }

        private int Alive()
        {
            return board.Previews.FindAll(each => each.Texture != null).Count;
        }

        [Test]
        public void OneFileIsAskedForOnceHoweverOftenItIsShown()
        {
            board.Prompt = false;
            var cache = new PreviewCache(board.RequestPreview);
            var seen = new List<Texture2D>();
            cache.Take(Key("a"), seen.Add);
            cache.Take(Key("a"), seen.Add);
            Assert.That(board.Previews.Count, Is.EqualTo(1));
            board.Previews[0].Answer();
            Assert.That(seen, Is.EqualTo(new[] { board.Previews[0].Texture, board.Previews[0].Texture }));
            cache.Take(Key("a", 1), seen.Add);
            Assert.That(board.Previews.Count, Is.EqualTo(2), "a file that was written since is another picture");
            cache.Dispose();
        }

        [Test]
        public void FewAreOnTheirWayAtOnceAndThoseScrolledPastAreNeverAskedFor()
        {
            board.Prompt = false;
            var cache = new PreviewCache(board.RequestPreview);
            var taken = new List<PreviewCache.Entry>();
            for (int each = 0; each < 100; each++)
            {
                taken.Add(cache.Take(Key("f" + each), Ignore));
            }
            Assert.That(board.Previews.Count, Is.EqualTo(PreviewCache.FlightMax));
            for (int each = 0; each < 99; each++)
            {
                cache.Return(taken[each], Ignore);
            }
            for (int each = 0; each < board.Previews.Count; each++)
            {
                board.Previews[each].Answer();
            }
            Assert.That(board.Previews.Count, Is.EqualTo(PreviewCache.FlightMax + 1));
            Assert.That(board.Previews[PreviewCache.FlightMax].File, Is.EqualTo("f99"));
            Assert.That(cache.InFlight, Is.EqualTo(0));
            cache.Dispose();
            Assert.That(Alive(), Is.EqualTo(0));
        }

        [Test]
        public void WhatNobodyShowsIsKeptWithinTheBoundAndTheOldestGoesFirst()
        {
            var cache = new PreviewCache(board.RequestPreview, 3 * Bytes);
            for (int each = 0; each < 10; each++)
            {
                cache.Return(cache.Take(Key("f" + each), Ignore), Ignore);
                Assert.That(cache.IdleBytes, Is.LessThanOrEqualTo(3 * Bytes));
            }
            Assert.That(Alive(), Is.EqualTo(3));
            Assert.That(cache.Count, Is.EqualTo(3));
            cache.Take(Key("f9"), Ignore);
            Assert.That(board.Previews.Count, Is.EqualTo(10), "the newest is still there");
            cache.Take(Key("f0"), Ignore);
            Assert.That(board.Previews.Count, Is.EqualTo(11));
            cache.Dispose();
            Assert.That(Alive(), Is.EqualTo(0));
        }

        [Test]
        public void WhatIsShownIsNeverTakenAway()
        {
            var cache = new PreviewCache(board.RequestPreview, 0);
            for (int each = 0; each < 10; each++)
            {
                cache.Take(Key("f" + each), Ignore);
            }
            Assert.That(Alive(), Is.EqualTo(10));
            cache.Dispose();
        }

        [Test]
        public void WhatTwoShowStaysForTheOther()
        {
            var cache = new PreviewCache(board.RequestPreview, 0);
            PreviewCache.Entry one = cache.Take(Key("a"), Ignore), other = cache.Take(Key("a"), Ignore);
            cache.Return(one, Ignore);
            Assert.That(Alive(), Is.EqualTo(1));
            cache.Return(other, Ignore);
            Assert.That(Alive(), Is.EqualTo(0));
            Assert.That(cache.Count, Is.EqualTo(0));
        }

        [Test]
        public void WhatArrivesAfterTheWindowClosedIsDestroyed()
        {
            board.Prompt = false;
            var cache = new PreviewCache(board.RequestPreview);
            Texture2D seen = null;
            cache.Take(Key("a"), texture => seen = texture);
            cache.Dispose();
            board.Previews[0].Answer();
            Assert.That(Alive(), Is.EqualTo(0));
            Assert.That(ReferenceEquals(seen, null));
        }

        [Test]
        public void ALineNeverShowsAnotherRowsPicture()
        {
            board.Prompt = false;
            var cache = new PreviewCache(board.RequestPreview);
            var image = new Image();
            var slot = new PreviewSlot(cache, image, 96);
            slot.Show("a");
            board.Previews[0].Answer();
            Assert.That(image.image.name, Is.EqualTo("a"));
            Assert.That(image.image.hideFlags, Is.EqualTo(HideFlags.HideAndDontSave), "it outlives a change of scenes");
            slot.Show("b");
            Assert.That(image.image == null);
            slot.Show("c");
            board.Previews[1].Answer();
            Assert.That(image.image == null, "b came when c was wanted");
            board.Previews[2].Answer();
            Assert.That(image.image.name, Is.EqualTo("c"));
            slot.Clear();
            Assert.That(image.image == null);
            cache.Dispose();
        }

        [Test]
        public void APictureThatIsDrawnAnewStaysUntilTheNewOneIsThere()
        {
            board.Prompt = false;
            string file = System.IO.Path.Combine(folder.Path, "a.png");
            System.IO.File.WriteAllText(file, "old");
            var cache = new PreviewCache(board.RequestPreview);
            var image = new Image();
            var slot = new PreviewSlot(cache, image, 96);
            slot.Show(file);
            board.Previews[0].Answer();
            System.IO.File.SetLastWriteTimeUtc(file, new System.DateTime(2027, 1, 1));
            slot.Show(file);
            slot.Show(file);
            Assert.That(board.Previews.Count, Is.EqualTo(2));
            Assert.That(ReferenceEquals(image.image, board.Previews[0].Texture));
            board.Previews[1].Answer();
            Assert.That(ReferenceEquals(image.image, board.Previews[1].Texture));
            cache.Dispose();
        }

        [Test]
        public void OnlyLinesOnScreenAskForTheirPictures()
        {
            for (int each = 0; each < 500; each++)
            {
                board.Add("asset" + each, "en", RowState.Done);
            }
            var window = ScriptableObject.CreateInstance<ThumbforgeWindow>();
            window.Board = board;
            window.Show();
            var list = window.rootVisualElement.Q<ListView>("queue");
            Assert.That(board.Previews.Count, Is.EqualTo(list.Fits));
            list.ScrollToItem(300);
            Assert.That(board.Previews.Count, Is.EqualTo(2 * list.Fits));
            Assert.That(list.Lines.Count, Is.EqualTo(list.Fits));
            board.Changed();
            window.Tick();
            Assert.That(board.Previews.Count, Is.EqualTo(2 * list.Fits),
                "what is shown already is not asked for again");
            UnityEngine.Object.DestroyImmediate(window);
            Assert.That(Alive(), Is.EqualTo(0));
        }

        private static void Ignore(Texture2D texture)
        {
        }
    }
}
