// Reads one array of strings out of a TOML file, and passes over everything else in it.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// Enough of TOML 1.0 to find a value by its table and key, however it is written:
    /// <c>[locales] strings = […]</c>, <c>locales.strings = […]</c>, <c>locales = { strings = […] }</c>.
    /// The build itself reads manifests whole.
    /// </summary>
    internal sealed class TomlStrings
    {
        /// <summary>Arrays and tables inside each other; a file that nests deeper is no manifest.</summary>
        private const int DepthMax = 32;

        private readonly string text;
        private readonly string wanted;
        private readonly List<string> found = new List<string>();
        private int at;

        private TomlStrings(string text, string wanted)
        {
            this.text = text.Replace("\r\n", "\n");
            this.wanted = wanted;
        }

        /// <summary>The strings at a key of a table; none if it is not there.</summary>
        /// <exception cref="FormatException">It is no TOML.</exception>
        internal static List<string> Read(string text, string table, string key)
        {
            var reader = new TomlStrings(text, Join(table, key));
            reader.Document();
            return reader.found;
        }

        private static string Join(string table, string key)
        {
            return table == "" ? key : table + "\n" + key;
        }

        private void Document()
        {
            string table = "";
            while (true)
            {
                Blank(true);
                if (at >= text.Length)
                {
                    return;
                }
                if (text[at] == '[')
                {
                    bool isArray = at + 1 < text.Length && text[at + 1] == '[';
                    at += isArray ? 2 : 1;
                    table = Key("");
                    Expect(']');
                    if (isArray)
                    {
                        Expect(']');
                    }
                }
                else
                {
                    Pair(table, 0);
                }
                Blank(false);
                if (at < text.Length && text[at] != '\n')
                {
                    throw Wrong();
                }
            }
        }

        private void Pair(string table, int depth)
        {
            string key = Key(table);
            Expect('=');
            Blank(false);
            Value(key, depth);
        }

        private string Key(string table)
        {
            while (true)
            {
                Blank(false);
                table = Join(table, Peek() == '"' || Peek() == '\'' ? Quoted() : Bare("=.]"));
                Blank(false);
                if (Peek() != '.')
                {
                    return table;
                }
                at++;
            }
        }

        private void Value(string key, int depth)
        {
            if (depth > DepthMax)
            {
                throw Wrong();
            }
            char first = Peek();
            if (first == '"' || first == '\'')
            {
                string words = Quoted();
                if (key == wanted)
                {
                    found.Add(words);
                }
            }
            else if (first == '[')
            {
                Many(']', () => Value(key, depth + 1));
            }
            else if (first == '{')
            {
                Many('}', () => Pair(key, depth + 1));
            }
            else
            {
                Bare(",]}#");
            }
        }

        private void Many(char end, Action one)
        {
            at++;
            while (true)
            {
                Blank(true);
                if (Peek() == end)
                {
                    at++;
                    return;
                }
                one();
                Blank(true);
                if (Peek() == ',')
                {
                    at++;
                }
                else if (Peek() != end)
                {
                    throw Wrong();
                }
            }
        }

        /// <summary>A key, a number, a date, a boolean.</summary>
        private string Bare(string ends)
        {
            int from = at;
            while (at < text.Length && text[at] != '\n' && ends.IndexOf(text[at]) < 0)
            {
                at++;
            }
            string words = text.Substring(from, at - from).Trim();
            if (words == "")
            {
                throw Wrong();
            }
            return words;
        }

        /// <summary>Any of the four kinds of strings.</summary>
        private string Quoted()
        {
            char quote = text[at];
            bool isLong = string.CompareOrdinal(text, at, new string(quote, 3), 0, 3) == 0;
            string end = new string(quote, isLong ? 3 : 1);
            at += end.Length;
            if (isLong && Peek() == '\n')
            {
                at++;
            }
            var words = new StringBuilder();
            while (at < text.Length)
            {
                if (string.CompareOrdinal(text, at, end, 0, end.Length) == 0)
                {
                    at += end.Length;
                    // A long string may end in up to two quotes of its own.
                    for (int more = 0; isLong && more < 2 && Peek() == quote; more++)
                    {
                        words.Append(quote);
                        at++;
                    }
                    return words.ToString();
                }
                if (text[at] == '\n' && !isLong)
                {
                    throw Wrong();
                }
                if (text[at] == '\\' && quote == '"')
                {
                    Escape(words);
                    continue;
                }
                words.Append(text[at++]);
            }
            throw Wrong();
        }

        private void Escape(StringBuilder words)
        {
            at++;
            char kind = Peek();
            at++;
            int simple = "btnfr\"\\e".IndexOf(kind);
            if (simple >= 0)
            {
                words.Append("\b\t\n\f\r\"\\\u001b"[simple]);
            }
            else if (kind == 'u' || kind == 'U')
            {
                int digits = kind == 'u' ? 4 : 8;
                uint code;
                string hex = at + digits > text.Length ? "" : text.Substring(at, digits);
                if (!uint.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out code) ||
                    code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
                {
                    throw Wrong();
                }
                words.Append(char.ConvertFromUtf32((int)code));
                at += digits;
            }
            else if (kind == '\n' || kind == ' ' || kind == '\t')
            {
                // A line that goes on: blanks up to the next word are none of the string's.
                while (at < text.Length && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n'))
                {
                    at++;
                }
            }
            else
            {
                throw Wrong();
            }
        }

        private void Blank(bool lines)
        {
            while (at < text.Length)
            {
                char next = text[at];
                if (next == '#')
                {
                    while (at < text.Length && text[at] != '\n')
                    {
                        at++;
                    }
                }
                else if (next == ' ' || next == '\t' || (lines && next == '\n') || (at == 0 && next == '\uFEFF'))
                {
                    at++;
                }
                else
                {
                    return;
                }
            }
        }

        private void Expect(char wantedNext)
        {
            Blank(false);
            if (Peek() != wantedNext)
            {
                throw Wrong();
            }
            at++;
        }

        /// <summary>The next character; a zero at the end, which no TOML file holds.</summary>
        private char Peek()
        {
            return at < text.Length ? text[at] : '\0';
        }

        private FormatException Wrong()
        {
            return new FormatException("no TOML at character " + at);
        }
    }
}
