// Which language something is of.
using System;
using System.Globalization;

namespace UnityEngine.Localization
{
    public struct LocaleIdentifier : IEquatable<LocaleIdentifier>
    {
        private readonly string code;

        public LocaleIdentifier(string code)
        {
            this.code = code;
        }

        public string Code
        {
            get { return code; }
        }

        public CultureInfo CultureInfo
        {
            get
            {
                try
                {
                    return string.IsNullOrEmpty(code) ? null : CultureInfo.GetCultureInfo(code);
                }
                catch (CultureNotFoundException)
                {
                    return null;
                }
            }
        }

        public static implicit operator LocaleIdentifier(string code)
        {
            return new LocaleIdentifier(code);
        }

        public static bool operator ==(LocaleIdentifier l1, LocaleIdentifier l2)
        {
            return l1.Equals(l2);
        }

        public static bool operator !=(LocaleIdentifier l1, LocaleIdentifier l2)
        {
            return !l1.Equals(l2);
        }

        public bool Equals(LocaleIdentifier other)
        {
            return string.Equals(code ?? "", other.code ?? "", StringComparison.OrdinalIgnoreCase);
        }

        public override bool Equals(object obj)
        {
            return obj is LocaleIdentifier && Equals((LocaleIdentifier)obj);
        }

        public override int GetHashCode()
        {
            return (code ?? "").GetHashCode();
        }

        public override string ToString()
        {
            CultureInfo culture = CultureInfo;
            string words = culture == null ? "Custom" : culture.EnglishName;
            return string.IsNullOrEmpty(code) ? "undefined" : words + "(" + code + ")";
        }
    }

    public class Locale : ScriptableObject
    {
        public LocaleIdentifier Identifier { get; set; }

        public static Locale CreateLocale(LocaleIdentifier identifier)
        {
            var locale = CreateInstance<Locale>();
            locale.Identifier = identifier;
            locale.name = identifier.ToString();
            return locale;
        }
    }
}
