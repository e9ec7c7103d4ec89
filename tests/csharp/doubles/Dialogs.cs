// Selection, EditorUtility, EditorGUIUtility: what a person sees and answers, by script.
using System;
using System.Collections.Generic;
using UnityEngine;
using Object = UnityEngine.Object;
using UnityObject = UnityEngine.Object;

namespace UnityEditor
{
    public sealed class Selection
    {
        public static Action selectionChanged;
        private static Object[] selected = new Object[0];

        public static Object[] objects
        {
            get { return selected; }
            set
            {
                selected = value ?? new Object[0];
                if (selectionChanged != null)
                {
                    selectionChanged();
                }
            }
        }

        public static Object activeObject
        {
            get { return selected.Length == 0 ? null : selected[0]; }
            set { objects = value == null ? new Object[0] : new[] { value }; }
        }

        public static string[] assetGUIDs
        {
            get { return Array.ConvertAll(selected, item => AssetDatabase.AssetPathToGUID(FakeAssets.PathOf(item))); }
        }
    }

    public partial class EditorUtility
    {
        public static bool DisplayDialog(string title, string message, string ok)
        {
            return DisplayDialog(title, message, ok, "");
        }

        public static bool DisplayDialog(string title, string message, string ok, string cancel)
        {
            return FakeDialogs.Ask(title, message) == 0;
        }

        public static int DisplayDialogComplex(string title, string message, string ok, string cancel, string alt)
        {
            return FakeDialogs.Ask(title, message);
        }

        public static void DisplayProgressBar(string title, string info, float progress)
        {
            FakeNative.Here.Note("bar", title);
        }

        public static bool DisplayCancelableProgressBar(string title, string info, float progress)
        {
            FakeNative.Here.Note("bar", title);
            return false;
        }

        public static void ClearProgressBar()
        {
            FakeNative.Here.Note("bar", "");
        }

        public static void RevealInFinder(string path)
        {
            FakeNative.Here.Note("revealed", path);
        }

        public static void OpenWithDefaultApp(string fileName)
        {
            FakeNative.Here.Note("opened", fileName);
        }

        public static void SetDirty(Object target)
        {
            FakeNative.Here.Note("dirty", target.name);
        }
    }

    public sealed partial class EditorGUIUtility
    {
        public static string systemCopyBuffer
        {
            get { return FakeNative.Here.Get("clipboard") ?? ""; }
            set { FakeNative.Here.Set("clipboard", value); }
        }

        public static float pixelsPerPoint
        {
            get { return 1; }
        }

        public static bool isProSkin
        {
            get { return FakeNative.Here.Get("skin") != "light"; }
        }

        public static void PingObject(UnityObject obj)
        {
            FakeNative.Here.Note("pinged", FakeAssets.PathOf(obj));
        }
    }

    /// <summary>Answers that tests give to dialogs, in turn: 0 ok, 1 cancel, 2 the other one.</summary>
    internal static class FakeDialogs
    {
        private static readonly Queue<int> Answers = new Queue<int>();

        internal static void Answer(params int[] answers)
        {
            foreach (int answer in answers)
            {
                Answers.Enqueue(answer);
            }
        }

        /// <summary>Dialogs that were shown, as "title: message".</summary>
        internal static string[] Shown
        {
            get { return FakeNative.Here.Notes("dialog"); }
        }

        /// <summary>Batch mode answers ok without anybody; else an answer must have been given.</summary>
        internal static int Ask(string title, string message)
        {
            FakeEditor.MainThreadOnly("DisplayDialog");
            FakeNative.Here.Note("dialog", title + ": " + message);
            if (Application.isBatchMode)
            {
                return 0;
            }
            if (Answers.Count == 0)
            {
                throw new InvalidOperationException("nobody answers the dialog \"" + title + "\": " + message);
            }
            return Answers.Dequeue();
        }

        internal static void Forget()
        {
            Answers.Clear();
            Selection.selectionChanged = null;
            Selection.objects = null;
        }
    }
}
