// What a frame costs: within its share while pictures come, and nothing at all while none do.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading.Tasks;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Tests
{
    internal sealed class PumpScripts : Scripts
    {
        /// <summary>
        /// Milliseconds that every frame took while so many pictures came. Frames that brought a picture are negative.
        /// </summary>
        public double[] FramesOf(int pictures, int side)
        {
            var tasks = new List<Task<Thumbnail>>();
            for (int number = 0; number < pictures; number++)
            {
                tasks.Add(Thumbnails.GenerateAsync(PictureScripts.Request("frame " + side + " " + number, side)));
            }
            Task all = Task.WhenAll(tasks);
            var frames = new List<double>();
            Stopwatch waited = Stopwatch.StartNew();
            while (!all.IsCompleted)
            {
                Assert.That(waited.Elapsed.TotalSeconds, Is.LessThan(Patience), "pictures did not come");
                int waiting = Host.Existing.Count;
                long began = Stopwatch.GetTimestamp();
                FakeEditor.Update();
                double milliseconds = (Stopwatch.GetTimestamp() - began) * 1000.0 / Stopwatch.Frequency;
                frames.Add(Host.Existing.Count < waiting ? -milliseconds : milliseconds);
                FakeEditor.BetweenFrames();
            }
            foreach (Task<Thumbnail> task in tasks)
            {
                task.Result.Dispose();
            }
            return frames.ToArray();
        }

        /// <summary>Bytes that so many idle frames allocate, with an object of the test's own if asked.</summary>
        public long Idle(int frames, bool alsoAnObject)
        {
            FakeEditor.Update();
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int frame = 0; frame < frames; frame++)
            {
                FakeEditor.Update();
                GC.KeepAlive(alsoAnObject ? new object() : this);
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        public bool HasSession()
        {
            return Host.Existing != null;
        }
    }

    [TestFixture]
    internal sealed class PumpTests
    {
        private EditorProcess editor;
        private PumpScripts scripts;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
            scripts = editor.Load<PumpScripts>();
            scripts.Frame();
            // The first pictures pay for compiling.
            scripts.FramesOf(5, 512);
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        [Test]
        public void AFrameStaysWithinItsShare()
        {
            double[] told = scripts.FramesOf(100, 512);
            double[] all = Array.ConvertAll(told, Math.Abs);
            double[] busy = Array.ConvertAll(Array.FindAll(told, frame => frame < 0), Math.Abs);
            Array.Sort(all);
            Array.Sort(busy);
            Console.WriteLine("pump with 100 jobs on their way, in ms: " + Line(all));
            Console.WriteLine("  of these, frames that bring pictures: " + Line(busy));
            // Copies are made on another thread, so a frame costs the same whatever the size. The longest of a hundred may be
            // one in which the system ran somebody else.
            Assert.That(At(busy, 90), Is.LessThan(0.2));
            Assert.That(At(all, 90), Is.LessThan(0.2));
        }

        private static string Line(double[] sorted)
        {
            return sorted.Length + " frames, p50 " + At(sorted, 50) + ", p90 " + At(sorted, 90) + ", longest " +
                At(sorted, 100);
        }

        private static double At(double[] sorted, int percent)
        {
            return Math.Round(sorted[(sorted.Length - 1) * percent / 100], 3);
        }

        [Test]
        public void IdleFramesAllocateNothing()
        {
            Assert.That(scripts.HasSession());
            long counted = scripts.Idle(10000, true);
            Assert.That(counted, Is.GreaterThanOrEqualTo(10000 * IntPtr.Size), "allocations are not counted");
            Assert.That(scripts.Idle(10000, false), Is.EqualTo(0));
        }
    }
}
