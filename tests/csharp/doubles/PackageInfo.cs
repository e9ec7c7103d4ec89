// PackageManager.PackageInfo: where the package lies.
using System.IO;
using System.Reflection;
using System.Text.RegularExpressions;

namespace UnityEditor.PackageManager
{
    public sealed partial class PackageInfo
    {
        private PackageInfo(string folder)
        {
            string text = File.ReadAllText(Path.Combine(folder, "package.json"));
            resolvedPath = folder;
            name = Word(text, "name");
            version = Word(text, "version");
        }

        public string resolvedPath { get; }

        public string name { get; }

        public string version { get; }

        public string assetPath
        {
            get { return "Packages/" + name; }
        }

        public static PackageInfo FindForAssembly(Assembly assembly)
        {
            string folder = FakePackages.Folder;
            bool ours = assembly.GetName().Name.StartsWith("Thumbforge.", System.StringComparison.Ordinal);
            return ours && !string.IsNullOrEmpty(folder) ? new PackageInfo(folder) : null;
        }

        private static string Word(string json, string field)
        {
            return Regex.Match(json, "\"" + field + "\"\\s*:\\s*\"([^\"]*)\"").Groups[1].Value;
        }
    }
}

namespace UnityEditor
{
    /// <summary>Folder of the package under test.</summary>
    internal static class FakePackages
    {
        internal static string Folder
        {
            get
            {
                string chosen = FakeNative.Here.Get("package");
                return chosen ?? System.Environment.GetEnvironmentVariable("THUMBFORGE_TEST_PACKAGE");
            }
            set { FakeNative.Here.Set("package", value); }
        }
    }
}
