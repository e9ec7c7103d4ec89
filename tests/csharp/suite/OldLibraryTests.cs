// After an upgrade the editor still has the old native library: scripts say so and open nothing.
using System;
using System.Diagnostics;
using System.IO;
using NUnit.Framework;
using Thumbforge.Editor;

namespace Thumbforge.Tests
{
    internal sealed class OldLibraryScripts : Scripts
    {
        public string Ask()
        {
            try
            {
                Thumbnails.GenerateAsync(PictureScripts.Request("crate", 64));
                return "no failure";
            }
            catch (ThumbforgeException failure)
            {
                return failure.Code + ": " + failure.Message;
            }
        }
    }

    [TestFixture]
    internal sealed class OldLibraryTests
    {
        [TestCase("9, 0", "9.0")]
        [TestCase("1, 0", "1.0")]
        public void AnotherVersionIsRefusedWithWhatToDo(string version, string named)
        {
            string[] numbers = version.Split(',');
            using (var folder = new TestFolder())
            using (var editor = new EditorProcess())
            {
                string own = Path.GetDirectoryName(typeof(OldLibraryTests).Assembly.Location);
                foreach (string file in Directory.GetFiles(own, "*.dll"))
                {
                    File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
                }
                Build(folder.Path, int.Parse(numbers[0]), int.Parse(numbers[1]));
                var scripts = editor.Load<OldLibraryScripts>(folder.Path);
                string said = scripts.Ask();
                Assert.That(said, Is.StringStarting("abi_mismatch: ").And.StringContaining("restart the editor"));
                Assert.That(said, Is.StringContaining("(" + named + ")"));
            }
        }

        /// <summary>A library of that version, which has nothing else.</summary>
        private static void Build(string folder, int major, int minor)
        {
            string source = Path.Combine(folder, "old.c");
            string number = major + "u << 16 | " + minor;
            File.WriteAllText(source, "unsigned tf_abi_version(void) { return " + number + "; }\n");
            string arguments = "-shared -fPIC -o \"" + folder + "/libthumbforge.so\" \"" + source + "\"";
            using (Process compiler = Process.Start("cc", arguments))
            {
                compiler.WaitForExit();
                Assert.That(compiler.ExitCode, Is.EqualTo(0));
            }
        }
    }
}
