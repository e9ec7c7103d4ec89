// Application: which Unity this is, and where the project lies.
using UnityEditor;

namespace UnityEngine
{
    public enum RuntimePlatform
    {
        OSXEditor = 0,
        WindowsEditor = 7,
        LinuxEditor = 16,
    }

    public class Application
    {
        public static bool isBatchMode
        {
            get { return FakeEditor.Batch; }
        }

        public static bool isEditor
        {
            get { return true; }
        }

        public static bool isPlaying
        {
            get { return EditorApplication.isPlaying; }
        }

        public static string dataPath
        {
            get { return FakeEditor.Project + "/Assets"; }
        }

        public static string unityVersion
        {
            get { return FakeNative.Here.Get("unityVersion") ?? "2022.3.76f1"; }
        }

        public static RuntimePlatform platform
        {
            get { return RuntimePlatform.LinuxEditor; }
        }

        public static void OpenURL(string url)
        {
            FakeNative.Here.Note("opened", url);
        }
    }
}
