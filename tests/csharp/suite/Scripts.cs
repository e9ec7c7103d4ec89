// What scripts do within their domain: a test derives its own from it and calls it from outside.
using System;
using System.Diagnostics;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Native;
using UnityEditor;

namespace Thumbforge.Tests
{
    /// <summary>Scripts in a domain of their own, with the package loaded.</summary>
    internal abstract class Scripts : MarshalByRefObject
    {
        /// <summary>Seconds after which what does not come is a failure: much more than any step takes.</summary>
        protected const double Patience = 30;

        /// <summary>Loads the package as Unity does after compiling.</summary>
        public void Load(string program, string dataDirectory)
        {
            FakeEditor.Enter();
            Installation.ProgramOverride = program;
            Installation.DataDirectoryOverride = dataDirectory;
            FakeEditor.Load(typeof(Thumbnails).Assembly);
            Loaded();
        }

        /// <summary>Called when the package is loaded, before the first frame.</summary>
        protected virtual void Loaded()
        {
        }

        /// <summary>One frame.</summary>
        public void Frame()
        {
            FakeEditor.Frame();
        }

        public void BeforeReload()
        {
            FakeEditor.BeforeReload();
        }

        public bool Quit()
        {
            return FakeEditor.Quit();
        }

        /// <summary>Frames until something is so; a failure that names it otherwise.</summary>
        protected static void Until(string what, Func<bool> condition)
        {
            Stopwatch waited = Stopwatch.StartNew();
            bool came = FakeEditor.FramesUntil(condition, Patience);
            string log = string.Join("\n", UnityEngine.FakeLog.Lines);
            Assert.That(came, what + " did not come within " + waited.Elapsed + "\n" + log + Standing());
        }

        private static string Standing()
        {
            if (Host.Existing == null)
            {
                return "\nno session is open";
            }
            TfSessionState state = Host.Existing.State();
            return "\n" + Host.Existing.Count + " calls wait; link " + state.link + ", in flight " + state.in_flight +
                ", lent " + state.lent + ", restarts " + state.restarts + "; " + Host.Existing.Trouble();
        }

        /// <summary>It lives as long as its domain: no lease ends it.</summary>
        public override object InitializeLifetimeService()
        {
            return null;
        }
    }
}
