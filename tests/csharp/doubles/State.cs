// SessionState and EditorPrefs: values that outlive a reload, and values that outlive the editor.
using System.Globalization;

namespace UnityEditor
{
    public class SessionState
    {
        public static void SetString(string key, string value)
        {
            Put(key, value);
        }

        public static string GetString(string key, string defaultValue)
        {
            return Got(key) ?? defaultValue;
        }

        public static void EraseString(string key)
        {
            Put(key, null);
        }

        public static void SetInt(string key, int value)
        {
            Put(key, value.ToString(CultureInfo.InvariantCulture));
        }

        public static int GetInt(string key, int defaultValue)
        {
            string value = Got(key);
            return value == null ? defaultValue : int.Parse(value, CultureInfo.InvariantCulture);
        }

        public static void EraseInt(string key)
        {
            Put(key, null);
        }

        public static void SetBool(string key, bool value)
        {
            Put(key, value ? "1" : "0");
        }

        public static bool GetBool(string key, bool defaultValue)
        {
            string value = Got(key);
            return value == null ? defaultValue : value == "1";
        }

        public static void EraseBool(string key)
        {
            Put(key, null);
        }

        private static string Got(string key)
        {
            FakeEditor.MainThreadOnly("SessionState");
            return FakeNative.Here.Get("session/" + key);
        }

        private static void Put(string key, string value)
        {
            FakeEditor.MainThreadOnly("SessionState");
            FakeNative.Here.Set("session/" + key, value);
        }
    }

    public sealed class EditorPrefs
    {
        public static void SetString(string key, string value)
        {
            Put(key, value);
        }

        public static string GetString(string key, string defaultValue)
        {
            return Got(key) ?? defaultValue;
        }

        public static string GetString(string key)
        {
            return GetString(key, "");
        }

        public static void SetInt(string key, int value)
        {
            Put(key, value.ToString(CultureInfo.InvariantCulture));
        }

        public static int GetInt(string key, int defaultValue)
        {
            string value = Got(key);
            return value == null ? defaultValue : int.Parse(value, CultureInfo.InvariantCulture);
        }

        public static int GetInt(string key)
        {
            return GetInt(key, 0);
        }

        public static void SetFloat(string key, float value)
        {
            Put(key, value.ToString("R", CultureInfo.InvariantCulture));
        }

        public static float GetFloat(string key, float defaultValue)
        {
            string value = Got(key);
            return value == null ? defaultValue : float.Parse(value, CultureInfo.InvariantCulture);
        }

        public static float GetFloat(string key)
        {
            return GetFloat(key, 0);
        }

        public static void SetBool(string key, bool value)
        {
            Put(key, value ? "1" : "0");
        }

        public static bool GetBool(string key, bool defaultValue)
        {
            string value = Got(key);
            return value == null ? defaultValue : value == "1";
        }

        public static bool GetBool(string key)
        {
            return GetBool(key, false);
        }

        public static bool HasKey(string key)
        {
            return Got(key) != null;
        }

        public static void DeleteKey(string key)
        {
            Put(key, null);
        }

        private static string Got(string key)
        {
            FakeEditor.MainThreadOnly("EditorPrefs");
            return FakeNative.Here.Get("prefs/" + key);
        }

        private static void Put(string key, string value)
        {
            FakeEditor.MainThreadOnly("EditorPrefs");
            FakeNative.Here.Set("prefs/" + key, value);
        }
    }
}
