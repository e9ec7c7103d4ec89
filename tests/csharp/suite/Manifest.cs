// A manifest that tests change: items with a subject and a title in two languages, drawn by the built-in engine.
using System.IO;
using System.Text;

namespace Thumbforge.Tests
{
    internal sealed class Manifest
    {
        private readonly string folder;

        internal Manifest(string folder)
        {
            this.folder = folder;
        }

        /// <summary>Names of the assets; each has an English and a German picture.</summary>
        internal string[] Assets { get; set; } = { "axe", "bow" };

        /// <summary>What is drawn; another one is other pictures.</summary>
        internal string Subject { get; set; } = "a wooden crate";

        internal string Model { get; set; } = "builtin";

        internal string Requires { get; set; } = ">=0.1";

        internal int Side { get; set; } = 128;

        /// <summary>Lines of the import profile.</summary>
        internal string Profile { get; set; } = "texture_type = \"sprite\"\nmax_size = 512\nmipmaps = false\n";

        /// <summary>Where Unity finds the picture of an asset.</summary>
        internal static string PathOf(string asset, string locale)
        {
            return "Assets/Thumbnails/" + asset + "." + locale + ".png";
        }

        internal void Write()
        {
            var text = new StringBuilder();
            text.Append("requires = \"" + Requires + "\"\nproject = \"com.example.tests\"\n\n");
            text.Append("[locales]\nlist = [\"en\", \"de\"]\nstrings = [\"Strings.csv\"]\n\n");
            text.Append("[output]\npath = \"Assets/Thumbnails/{{ asset }}.{{ locale }}.png\"\n\n");
            text.Append("[profiles.item]\n" + Profile + "\n");
            text.Append("[templates.item]\nversion = 1\nprofile = \"item\"\n");
            text.Append("prompt = \"{{ subject }}, plain background\"\n");
            text.Append("model = \"" + Model + "\"\nsize = \"" + Side + "x" + Side + "\"\n");
            text.Append("[[templates.item.text]]\nname = \"title\"\nstring = \"{{ asset }}.title\"\n");
            text.Append("area = [0.1, 0.1, 0.8, 0.3]\n");
            // A plate, so that whatever is drawn behind the words they can be read.
            text.Append("fill = \"#000000\"\noutline = false\nshadow = false\n");
            text.Append("plate = { colour = \"#ffffff\", opacity = 1.0, radius = 0.3, padding = [0.4, 0.2] }\n");
            var strings = new StringBuilder("Key,English(en),German(de)\n");
            foreach (string asset in Assets)
            {
                text.Append("\n[assets." + asset + "]\ntemplate = \"item\"\n");
                text.Append("vars = { subject = \"" + Subject + ", " + asset + "\" }\n");
                strings.Append(asset + ".title,It,Es\n");
            }
            File.WriteAllText(Path.Combine(folder, "thumbforge.toml"), text.ToString());
            File.WriteAllText(Path.Combine(folder, "Strings.csv"), strings.ToString());
        }
    }
}
