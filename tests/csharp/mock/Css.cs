// USS as CSS: the few properties that have other names there. Everything else is the same word with the same meaning.
using System.Text.RegularExpressions;

namespace Thumbforge.Editor
{
    /// <summary>Rewrites a sheet of this package for a browser.</summary>
    internal static class Css
    {
        internal static string Of(string uss)
        {
            string css = Regex.Replace(uss, @"-unity-font-style:\s*bold", "font-weight: 600");
            css = Regex.Replace(css, @"-unity-font-style:\s*normal", "font-weight: 400");
            css = Regex.Replace(css, @"-unity-text-align:\s*(upper|middle|lower)-(left|center|right)", Align);
            Match left = Regex.Match(css, @"(?<!-)-unity-[a-z-]+");
            if (left.Success)
            {
                throw new System.NotSupportedException("no CSS is known here for " + left.Value);
            }
            return css;
        }

        private static string Align(Match match)
        {
            string across = match.Groups[1].Value;
            string justify = across == "upper" ? "flex-start" : across == "middle" ? "center" : "flex-end";
            return "justify-content: " + justify + "; text-align: " + match.Groups[2].Value;
        }
    }
}
