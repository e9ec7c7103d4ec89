// The editor as tests drive it: a project on disk, frames, a reload's first half, an end.
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Threading;
using UnityEngine;

namespace UnityEditor
{
    /// <summary>What EditorApplication.Exit throws, because a test's process has to go on.</summary>
    [Serializable]
    internal sealed class FakeExit : Exception
    {
        internal FakeExit(int code) : base("the editor ended with exit code " + code)
        {
            Code = code;
        }

        private FakeExit(System.Runtime.Serialization.SerializationInfo info,
            System.Runtime.Serialization.StreamingContext context) : base(info, context)
        {
            Code = info.GetInt32("code");
        }

        internal int Code { get; private set; }

        public override void GetObjectData(System.Runtime.Serialization.SerializationInfo info,
            System.Runtime.Serialization.StreamingContext context)
        {
            base.GetObjectData(info, context);
            info.AddValue("code", Code);
        }
    }

    /// <summary>Starts, steps and ends the editor.</summary>
    internal static class FakeEditor
    {
        private static Delegate known;
        private static Delegate[] calls = new Delegate[0];
        private static FakeSynchronizationContext context;
        private static int mainThread;

        internal static DateTime Started { get; private set; }

        /// <summary>Folder of the project, absolute.</summary>
        internal static string Project
        {
            get { return FakeNative.Here.Get("project"); }
        }

        internal static bool Batch
        {
            get { return FakeNative.Here.Get("batch") != null; }
            set { FakeNative.Here.Set("batch", value ? "1" : null); }
        }

        /// <summary>Whether this process is one that imports assets for another.</summary>
        internal static bool ImportWorker
        {
            get { return FakeNative.Here.Get("worker") != null; }
            set { FakeNative.Here.Set("worker", value ? "1" : null); }
        }

        internal static bool Compiling
        {
            get { return FakeNative.Here.Get("compiling") != null; }
            set { FakeNative.Here.Set("compiling", value ? "1" : null); }
        }

        /// <summary>The last exit code; null while the editor runs.</summary>
        internal static int? ExitCode
        {
            get
            {
                string code = FakeNative.Here.Get("exit");
                return code == null ? (int?)null : int.Parse(code);
            }
        }

        /// <summary>Starts an editor on a folder, which becomes a project if it is none.</summary>
        internal static FakeNative Start(string folder)
        {
            foreach (string name in new[] { "Assets", "ProjectSettings", "Library", "Packages", "Temp" })
            {
                Directory.CreateDirectory(Path.Combine(folder, name));
            }
            FakeNative native = FakeNative.Begin();
            native.Set("project", Path.GetFullPath(folder));
            // Relative paths are relative to the project in Unity, and packages rely on it.
            Environment.CurrentDirectory = native.Get("project");
            Enter();
            return native;
        }

        /// <summary>Makes the current domain and thread those of the scripts.</summary>
        internal static void Enter()
        {
            mainThread = Thread.CurrentThread.ManagedThreadId;
            Started = FakeNative.Here.Started;
            context = new FakeSynchronizationContext();
            SynchronizationContext.SetSynchronizationContext(context);
            EditorApplication.Forget();
            AssemblyReloadEvents.Forget();
            FakeAssets.Forget();
            FakeDialogs.Forget();
            known = null;
            calls = new Delegate[0];
        }

        /// <summary>Leaves the main thread's context, so that the test runner's own waits work again.</summary>
        internal static void Leave()
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }

        /// <summary>Most of Unity may be called on the main thread only, and says so.</summary>
        internal static void MainThreadOnly(string what)
        {
            if (Thread.CurrentThread.ManagedThreadId != mainThread)
            {
                throw new UnityException(what + " can only be called from the main thread.");
            }
        }

        /// <summary>Runs what [InitializeOnLoad] and [InitializeOnLoadMethod] ask for.</summary>
        internal static void Load(Assembly assembly)
        {
            foreach (Type type in assembly.GetTypes())
            {
                if (type.IsDefined(typeof(InitializeOnLoadAttribute), false))
                {
                    System.Runtime.CompilerServices.RuntimeHelpers.RunClassConstructor(type.TypeHandle);
                }
                foreach (MethodInfo method in type.GetMethods(
                    BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
                {
                    if (method.IsDefined(typeof(InitializeOnLoadMethodAttribute), false))
                    {
                        method.Invoke(null, null);
                    }
                }
            }
            AssemblyReloadEvents.RaiseAfter();
        }

        /// <summary>One frame: what was posted to the main thread, every update, then what was delayed.</summary>
        internal static void Frame()
        {
            // A call from another domain may have brought that one's context.
            SynchronizationContext.SetSynchronizationContext(context);
            context.Run();
            Update();
            EditorApplication.CallbackFunction delayed = EditorApplication.delayCall;
            if (delayed != null)
            {
                EditorApplication.delayCall = null;
                foreach (Delegate call in delayed.GetInvocationList())
                {
                    Guarded((EditorApplication.CallbackFunction)call);
                }
            }
        }

        /// <summary>The updates alone; it allocates nothing itself while they stay the same.</summary>
        internal static void Update()
        {
            if (!ReferenceEquals(known, EditorApplication.update))
            {
                known = EditorApplication.update;
                calls = known == null ? new Delegate[0] : known.GetInvocationList();
            }
            foreach (Delegate call in calls)
            {
                Guarded((EditorApplication.CallbackFunction)call);
            }
        }

        /// <summary>Frames until the condition holds; false if it does not within the time.</summary>
        internal static bool FramesUntil(Func<bool> condition, double seconds)
        {
            DateTime end = DateTime.UtcNow.AddSeconds(seconds);
            while (true)
            {
                Frame();
                if (condition())
                {
                    return true;
                }
                if (DateTime.UtcNow >= end)
                {
                    return false;
                }
                BetweenFrames();
            }
        }

        /// <summary>
        /// An editor draws between two frames; yielding alone would starve the sidecar of a small machine. Nothing is waited for
        /// here: whoever calls it asks for a condition in every frame.
        /// </summary>
        internal static void BetweenFrames()
        {
            Thread.Sleep(1);
        }

        /// <summary>What Unity does before it unloads the scripts' domain.</summary>
        internal static void BeforeReload()
        {
            AssemblyReloadEvents.RaiseBefore();
            FakeSingletons.Keep();
            foreach (FakeProgressItem item in FakeNative.Here.ProgressItems())
            {
                if (item.Status == Progress.Status.Running && (item.Options & Progress.Options.Unmanaged) == 0)
                {
                    item.Status = Progress.Status.Canceled;
                    FakeNative.Here.PutProgress(item);
                }
            }
        }

        /// <summary>Somebody closes the editor; false if scripts do not want that.</summary>
        internal static bool Quit()
        {
            if (!EditorApplication.RaiseWantsToQuit())
            {
                return false;
            }
            EditorApplication.RaiseQuitting();
            return true;
        }

        private static void Guarded(EditorApplication.CallbackFunction call)
        {
            try
            {
                call();
            }
            catch (FakeExit)
            {
                throw;
            }
            catch (Exception exception)
            {
                Debug.LogException(exception);
            }
        }
    }

    /// <summary>Continuations of async methods run in the next frame, on the main thread, as in Unity.</summary>
    internal sealed class FakeSynchronizationContext : SynchronizationContext
    {
        private struct Posted
        {
            internal SendOrPostCallback Call;
            internal object State;
        }

        private readonly object door = new object();
        private List<Posted> posted = new List<Posted>();
        private List<Posted> running = new List<Posted>();

        public override void Post(SendOrPostCallback call, object state)
        {
            lock (door)
            {
                posted.Add(new Posted { Call = call, State = state });
            }
        }

        internal void Run()
        {
            lock (door)
            {
                if (posted.Count == 0)
                {
                    return;
                }
                List<Posted> now = posted;
                posted = running;
                running = now;
            }
            foreach (Posted item in running)
            {
                try
                {
                    item.Call(item.State);
                }
                catch (FakeExit)
                {
                    throw;
                }
                catch (Exception exception)
                {
                    Debug.LogException(exception);
                }
            }
            running.Clear();
        }
    }
}
