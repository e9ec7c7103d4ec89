// The manifest that a project starts with.
using System.IO;
using System.Text;

namespace Thumbforge.Editor
{
    /// <summary>Writes a manifest that works at once: built-in art, two assets, two locales.</summary>
    internal static class StarterManifest
    {
        internal const string FileName = "thumbforge.toml";
        internal const string StringsName = "thumbforge.csv";

        private const string Manifest =
            @"# What Thumbforge draws for this project. After a change press Regenerate all in Window > Thumbforge,
# or run `thumbforge batch` in this folder. Commit this file and thumbforge.lock.
requires = "">=0.1""
project = ""PROJECT""
placeholder = true # Built-in art stands in until a model is set up.

[locales]
list = [""en"", ""de""]
strings = [""thumbforge.csv""] # Replace it by the CSV export of a string table.

[output]
path = ""Assets/Thumbnails/{{ asset }}/{{ asset }}.{{ locale }}.png""

[profiles.shop]
texture_type = ""sprite""
sprite_mode = ""single""
mipmaps = false

[templates.offer]
version = 1
prompt = ""{{ subject }}, stylised game art, single centred subject, soft rim light""
size = ""512x512""
profile = ""shop""

[[templates.offer.text]]
name = ""title""
string = ""{{ asset }}.title""
area = [0.06, 0.05, 0.88, 0.2] # x, y, width, height as fractions of the picture

[assets.sword]
template = ""offer""
vars = { subject = ""a polished steel longsword on an oak table"" }

[assets.potion]
template = ""offer""
vars = { subject = ""a glowing red healing potion in a forest clearing"" }
";

        private const string Strings = "Key,English(en),German(de)\nsword.title,Steel Longsword,Stählernes Langschwert\n"
            + "potion.title,Healing Potion,Heiltrank\n";

        /// <summary>Writes manifest and words into a folder.</summary>
        /// <param name="folder">Absolute.</param>
        /// <param name="project">What the project is called; it decides the GUIDs of its pictures.</param>
        /// <exception cref="IOException">A file is there already, or cannot be written.</exception>
        internal static void Write(string folder, string project)
        {
            string manifest = Manifest.Replace("\r", string.Empty).Replace("PROJECT", Plain(project));
            Directory.CreateDirectory(folder);
            string strings = Path.Combine(folder, StringsName);
            // The words go first: a manifest without them would be shown as broken.
            if (!File.Exists(strings))
            {
                Put(strings, Strings);
            }
            Put(Path.Combine(folder, FileName), manifest);
        }

        private static void Put(string path, string text)
        {
            using (var stream = new FileStream(path, FileMode.CreateNew, FileAccess.Write))
            {
                byte[] bytes = new UTF8Encoding(false).GetBytes(text);
                stream.Write(bytes, 0, bytes.Length);
            }
        }

        /// <summary>A name that needs no quoting in TOML.</summary>
        private static string Plain(string project)
        {
            var plain = new StringBuilder();
            foreach (char each in project ?? string.Empty)
            {
                bool kept = (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') || (each >= '0' && each <= '9')
                    || each == '.' || each == '-' || each == '_';
                plain.Append(kept ? each : '-');
            }
            return plain.Length == 0 ? "game" : plain.ToString();
        }
    }
}
