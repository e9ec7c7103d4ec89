// Debug: what scripts say, collected for tests.
using System;
using UnityEditor;

namespace UnityEngine
{
    public enum LogType
    {
        Error = 0,
        Assert = 1,
        Warning = 2,
        Log = 3,
        Exception = 4,
    }

    public class Debug
    {
        public static void Log(object message)
        {
            FakeLog.Add(LogType.Log, message);
        }

        public static void Log(object message, Object context)
        {
            FakeLog.Add(LogType.Log, message);
        }

        public static void LogWarning(object message)
        {
            FakeLog.Add(LogType.Warning, message);
        }

        public static void LogWarning(object message, Object context)
        {
            FakeLog.Add(LogType.Warning, message);
        }

        public static void LogError(object message)
        {
            FakeLog.Add(LogType.Error, message);
        }

        public static void LogError(object message, Object context)
        {
            FakeLog.Add(LogType.Error, message);
        }

        public static void LogException(Exception exception)
        {
            FakeLog.Add(LogType.Exception, exception);
        }

        public static void LogException(Exception exception, Object context)
        {
            FakeLog.Add(LogType.Exception, exception);
        }
    }

    /// <summary>Lines of the console, as "Warning: words".</summary>
    internal static class FakeLog
    {
        internal static void Add(LogType type, object message)
        {
            FakeNative.Here.Note("log", type + ": " + message);
        }

        internal static string[] Lines
        {
            get { return FakeNative.Here.Notes("log"); }
        }

        /// <summary>Errors and exceptions, which fail a test in Unity unless they are expected.</summary>
        internal static string[] Errors
        {
            get
            {
                return Array.FindAll(Lines, line => line.StartsWith("Error: ", StringComparison.Ordinal) ||
                    line.StartsWith("Exception: ", StringComparison.Ordinal));
            }
        }

        internal static void Clear()
        {
            FakeNative.Here.Forget("log");
        }
    }
}
