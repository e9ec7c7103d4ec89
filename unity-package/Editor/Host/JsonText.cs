// Writing JSON. Unity's JsonUtility writes every field of a type; a command says only what was asked.
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Thumbforge.Editor
{
    /// <summary>One JSON object, written member by member; what is null or empty is left out.</summary>
    internal sealed class JsonText
    {
        private readonly StringBuilder text = new StringBuilder("{");

        internal JsonText Add(string name, string value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                Name(name);
                Quote(text, value);
            }
            return this;
        }

        internal JsonText Add(string name, ICollection<string> values)
        {
            if (values == null || values.Count == 0)
            {
                return this;
            }
            Name(name).Append('[');
            string comma = string.Empty;
            foreach (string value in values)
            {
                text.Append(comma);
                Quote(text, value);
                comma = ",";
            }
            text.Append(']');
            return this;
        }

        internal JsonText Add(string name, long? value)
        {
            if (value.HasValue)
            {
                Name(name).Append(value.Value.ToString(CultureInfo.InvariantCulture));
            }
            return this;
        }

        /// <summary>A switch; off is what it is when nobody says.</summary>
        internal JsonText Switch(string name, bool on)
        {
            if (on)
            {
                Name(name).Append("true");
            }
            return this;
        }

        public override string ToString()
        {
            return text.ToString() + "}";
        }

        private StringBuilder Name(string name)
        {
            if (text.Length > 1)
            {
                text.Append(',');
            }
            Quote(text, name);
            return text.Append(':');
        }

        /// <summary>Writes a JSON string.</summary>
        internal static void Quote(StringBuilder into, string value)
        {
            into.Append('"');
            foreach (char letter in value)
            {
                if (letter == '"' || letter == '\\')
                {
                    into.Append('\\').Append(letter);
                }
                else if (letter < ' ')
                {
                    into.Append("\\u").Append(((int)letter).ToString("x4", CultureInfo.InvariantCulture));
                }
                else
                {
                    into.Append(letter);
                }
            }
            into.Append('"');
        }
    }
}
