// EditorApplication, AssemblyReloadEvents: the editor's beat and its turning points.
using System;
using UnityEngine;

namespace UnityEditor
{
    public enum PlayModeStateChange
    {
        EnteredEditMode,
        ExitingEditMode,
        EnteredPlayMode,
        ExitingPlayMode,
    }

    public sealed class EditorApplication
    {
        public delegate void CallbackFunction();

        public static CallbackFunction update;
        public static CallbackFunction delayCall;
        private static Func<bool> wants;
        private static Action ends;
        private static Action<PlayModeStateChange> plays;

        public static event Func<bool> wantsToQuit
        {
            add { wants += value; }
            remove { wants -= value; }
        }

        public static event Action quitting
        {
            add { ends += value; }
            remove { ends -= value; }
        }

        public static event Action<PlayModeStateChange> playModeStateChanged
        {
            add { plays += value; }
            remove { plays -= value; }
        }

        public static bool isPlaying { get; set; }

        public static bool isPlayingOrWillChangePlaymode
        {
            get { return isPlaying; }
        }

        public static bool isCompiling
        {
            get { return FakeEditor.Compiling; }
        }

        public static bool isUpdating
        {
            get { return FakeAssets.Depth > 0; }
        }

        public static double timeSinceStartup
        {
            get { return (DateTime.UtcNow - FakeEditor.Started).TotalSeconds; }
        }

        public static string applicationPath
        {
            get { return "/opt/unity/Editor/Unity"; }
        }

        public static void QueuePlayerLoopUpdate()
        {
            FakeNative.Here.Note("editor", "QueuePlayerLoopUpdate");
        }

        public static void OpenProject(string projectPath, params string[] args)
        {
            FakeNative.Here.Note("opened", projectPath);
        }

        public static void Exit(int returnValue)
        {
            FakeEditor.MainThreadOnly("Exit");
            FakeNative.Here.Set("exit", returnValue.ToString());
            RaiseQuitting();
            throw new FakeExit(returnValue);
        }

        internal static void Play(PlayModeStateChange change)
        {
            isPlaying = change == PlayModeStateChange.EnteredPlayMode || change == PlayModeStateChange.ExitingPlayMode;
            if (plays != null)
            {
                plays(change);
            }
        }

        internal static bool RaiseWantsToQuit()
        {
            if (wants != null)
            {
                foreach (Func<bool> want in wants.GetInvocationList())
                {
                    if (!want())
                    {
                        return false;
                    }
                }
            }
            return true;
        }

        internal static void RaiseQuitting()
        {
            if (ends != null)
            {
                ends();
            }
        }

        internal static void Forget()
        {
            update = null;
            delayCall = null;
            wants = null;
            ends = null;
            plays = null;
            isPlaying = false;
        }
    }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();

        private static AssemblyReloadCallback before;
        private static AssemblyReloadCallback after;

        public static event AssemblyReloadCallback beforeAssemblyReload
        {
            add { before += value; }
            remove { before -= value; }
        }

        public static event AssemblyReloadCallback afterAssemblyReload
        {
            add { after += value; }
            remove { after -= value; }
        }

        internal static void RaiseBefore()
        {
            Raise(before);
        }

        internal static void RaiseAfter()
        {
            Raise(after);
        }

        internal static void Forget()
        {
            before = null;
            after = null;
        }

        private static void Raise(AssemblyReloadCallback calls)
        {
            if (calls == null)
            {
                return;
            }
            foreach (AssemblyReloadCallback call in calls.GetInvocationList())
            {
                try
                {
                    call();
                }
                catch (Exception exception)
                {
                    Debug.LogException(exception);
                }
            }
        }
    }
}
