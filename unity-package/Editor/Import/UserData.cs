// The one field that Thumbforge keeps in an importer's userData, beside whatever others keep there.
using System.Text;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Reads and writes the member <c>thumbforge</c> of a JSON object in <c>AssetImporter.userData</c>. Everything else in
    /// it is left as it is, byte for byte: other tools keep their own things there. Text that is no JSON object is theirs
    /// alone and is left alone; the key then stands in the PNG only.
    /// </summary>
    internal static class UserData
    {
        private const string Member = "thumbforge";

        /// <summary>The key, or an empty string.</summary>
        internal static string Key(string userData)
        {
            Span value;
            return Find(userData, out value) == Shape.Has ? Unquote(userData, value) : string.Empty;
        }

        /// <summary><paramref name="userData"/> with this key; the very same text where it cannot be held or is there.</summary>
        internal static string With(string userData, string key)
        {
            Span value;
            Shape shape = Find(userData, out value);
            if (shape == Shape.Foreign || (shape == Shape.Has && Unquote(userData, value) == key))
            {
                return userData;
            }
            var quoted = new StringBuilder();
            JsonText.Quote(quoted, key);
            if (shape == Shape.Empty)
            {
                return "{\"" + Member + "\":" + quoted + "}";
            }
            if (shape == Shape.Has)
            {
                return userData.Substring(0, value.Start) + quoted + userData.Substring(value.End);
            }
            // The value's span is where a first member goes.
            string rest = userData.Substring(value.Start);
            string comma = rest.TrimStart().StartsWith("}", System.StringComparison.Ordinal) ? string.Empty : ",";
            return userData.Substring(0, value.Start) + "\"" + Member + "\":" + quoted + comma + rest;
        }

        private enum Shape
        {
            /// <summary>Nothing there.</summary>
            Empty,
            /// <summary>An object with the member; its value is found.</summary>
            Has,
            /// <summary>An object without it.</summary>
            Lacks,
            /// <summary>Something else.</summary>
            Foreign,
        }

        private struct Span
        {
            internal int Start;
            internal int End;
        }

        private static Shape Find(string text, out Span value)
        {
            value = default(Span);
            if (string.IsNullOrEmpty(text) || text.Trim().Length == 0)
            {
                return Shape.Empty;
            }
            int at = Blank(text, 0);
            if (text[at] != '{')
            {
                return Shape.Foreign;
            }
            at++;
            var first = new Span { Start = at, End = at };
            Shape found = Shape.Lacks;
            at = Blank(text, at);
            while (at < text.Length && text[at] != '}')
            {
                int nameEnd = text[at] == '"' ? SkipString(text, at) : -1;
                int colon = nameEnd < 0 ? text.Length : Blank(text, nameEnd);
                if (colon >= text.Length || text[colon] != ':')
                {
                    return Shape.Foreign;
                }
                bool ours = text.Substring(at, nameEnd - at) == "\"" + Member + "\"";
                int start = Blank(text, colon + 1);
                int end = SkipValue(text, start);
                if (end < 0 || (ours && text[start] != '"'))
                {
                    return Shape.Foreign;
                }
                if (ours)
                {
                    value = new Span { Start = start, End = end };
                    found = Shape.Has;
                }
                at = Blank(text, end);
                if (at < text.Length && text[at] == ',')
                {
                    at = Blank(text, at + 1);
                }
                else if (at >= text.Length || text[at] != '}')
                {
                    return Shape.Foreign;
                }
            }
            if (at >= text.Length || Blank(text, at + 1) != text.Length)
            {
                return Shape.Foreign;
            }
            if (found == Shape.Lacks)
            {
                value = first;
            }
            return found;
        }

        private static int Blank(string text, int at)
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }
            return at;
        }

        /// <summary>The end of the string that starts here, or -1.</summary>
        private static int SkipString(string text, int at)
        {
            for (at++; at < text.Length; at++)
            {
                if (text[at] == '\\')
                {
                    at++;
                }
                else if (text[at] == '"')
                {
                    return at + 1;
                }
            }
            return -1;
        }

        /// <summary>The end of the value that starts here, or -1; within it only brackets and strings matter.</summary>
        private static int SkipValue(string text, int at)
        {
            int depth = 0;
            int start = at;
            while (at < text.Length)
            {
                char letter = text[at];
                if (letter == '"')
                {
                    at = SkipString(text, at);
                    if (at < 0)
                    {
                        return -1;
                    }
                    continue;
                }
                bool closes = letter == '}' || letter == ']';
                if (depth == 0 && (closes || letter == ',' || char.IsWhiteSpace(letter)))
                {
                    break;
                }
                depth += letter == '{' || letter == '[' ? 1 : closes ? -1 : 0;
                at++;
            }
            return at > start && depth == 0 ? at : -1;
        }

        private static string Unquote(string text, Span value)
        {
            // Keys are hexadecimal digits; what has escapes in it is none of ours.
            return text.Substring(value.Start + 1, value.End - value.Start - 2);
        }
    }
}
