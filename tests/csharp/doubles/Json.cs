// A small reader of JSON for the doubles: objects, lists, words, booleans, and numbers as their digits.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace UnityEngine
{
    internal sealed class FakeJson
    {
        private readonly string text;
        private int at;

        internal FakeJson(string text)
        {
            this.text = text;
        }

        /// <summary>A string of JSON, which is kept apart from the digits of a number.</summary>
        internal sealed class Words
        {
            internal string Text;
        }

        /// <summary>The whole text as one value.</summary>
        internal object Document()
        {
            object value = Value();
            Space();
            if (at < text.Length)
            {
                throw Bad("The document root must not follow by other values.");
            }
            return value;
        }

        internal static void Quote(StringBuilder to, string words)
        {
            to.Append('"');
            foreach (char letter in words)
            {
                switch (letter)
                {
                    case '"': to.Append("\\\""); break;
                    case '\\': to.Append("\\\\"); break;
                    case '\n': to.Append("\\n"); break;
                    case '\r': to.Append("\\r"); break;
                    case '\t': to.Append("\\t"); break;
                    default:
                        if (letter < ' ')
                        {
                            to.Append("\\u").Append(((int)letter).ToString("x4", CultureInfo.InvariantCulture));
                        }
                        else
                        {
                            to.Append(letter);
                        }
                        break;
                }
            }
            to.Append('"');
        }

        private object Value()
        {
            Space();
            if (at >= text.Length)
            {
                throw Bad("The document is empty.");
            }
            switch (text[at])
            {
                case '{': return Object();
                case '[': return List();
                case '"': return new Words { Text = Quoted() };
                default: return Bare();
            }
        }

        private Dictionary<string, object> Object()
        {
            var fields = new Dictionary<string, object>();
            at++;
            while (!Ends('}', fields.Count > 0))
            {
                Space();
                if (at >= text.Length || text[at] != '"')
                {
                    throw Bad("Missing a name for object member.");
                }
                string name = Quoted();
                Space();
                if (at >= text.Length || text[at++] != ':')
                {
                    throw Bad("Missing a colon after a name of object member.");
                }
                fields[name] = Value();
            }
            return fields;
        }

        private List<object> List()
        {
            var values = new List<object>();
            at++;
            while (!Ends(']', values.Count > 0))
            {
                values.Add(Value());
            }
            return values;
        }

        private bool Ends(char end, bool afterValue)
        {
            Space();
            if (at < text.Length && text[at] == end)
            {
                at++;
                return true;
            }
            if (afterValue && (at >= text.Length || text[at++] != ','))
            {
                throw Bad("Missing a comma or " + end + " after a value.");
            }
            return false;
        }

        private string Quoted()
        {
            var words = new StringBuilder();
            for (at++; at < text.Length && text[at] != '"'; at++)
            {
                if (text[at] != '\\')
                {
                    words.Append(text[at]);
                    continue;
                }
                at++;
                char letter = at < text.Length ? text[at] : '\0';
                if (letter == 'u' && at + 4 < text.Length)
                {
                    string digits = text.Substring(at + 1, 4);
                    words.Append((char)ushort.Parse(digits, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                    at += 4;
                    continue;
                }
                int known = "nrtbf\"\\/".IndexOf(letter);
                if (known < 0)
                {
                    throw Bad("Invalid escape character in string.");
                }
                words.Append("\n\r\t\b\f\"\\/"[known]);
            }
            if (at++ >= text.Length)
            {
                throw Bad("Missing a closing quotation mark in string.");
            }
            return words.ToString();
        }

        private object Bare()
        {
            int from = at;
            while (at < text.Length && (char.IsLetterOrDigit(text[at]) || "+-.".IndexOf(text[at]) >= 0))
            {
                at++;
            }
            string word = text.Substring(from, at - from);
            double number;
            switch (word)
            {
                case "true": return true;
                case "false": return false;
                case "null": return null;
                default:
                    if (!double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out number))
                    {
                        throw Bad("Invalid value.");
                    }
                    return word;
            }
        }

        private void Space()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }
        }

        private static ArgumentException Bad(string what)
        {
            return new ArgumentException("JSON parse error: " + what);
        }
    }
}
