// A tree of elements as one page of HTML.
using System;
using System.Globalization;
using System.Text;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Writes elements as nested boxes with the same classes, so that the package's own sheet lays them out.
    /// </summary>
    internal sealed class Page
    {
        private readonly StringBuilder html = new StringBuilder();

        /// <param name="root">The element that the sheets are attached to.</param>
        /// <param name="theme">The sheet that stands in for the editor's own.</param>
        /// <param name="skin">dark or light.</param>
        internal static string Of(VisualElement root, string theme, string skin)
        {
            var page = new Page();
            page.html.Append("<!doctype html><html><head><meta charset=\"utf-8\"><style>").Append(theme);
            foreach (StyleSheet sheet in root.Sheets)
            {
                page.html.Append('\n').Append(Css.Of(sheet.Text));
            }
            page.html.Append("</style></head><body class=\"").Append(skin).Append("\">");
            page.Write(root, string.Empty);
            return page.html.Append("</body></html>").ToString();
        }

        private void Write(VisualElement element, string style)
        {
            html.Append("<div class=\"el");
            foreach (string each in element.GetClasses())
            {
                html.Append(' ').Append(each);
            }
            html.Append(element.enabledInHierarchy ? "" : " is-disabled");
            html.Append(Focusable.Focused == element ? " is-focused" : "").Append('"');
            var bar = element.ClassListContains("unity-progress-bar__progress") ? element.userData as float? : null;
            style += bar == null ? "" : string.Format(CultureInfo.InvariantCulture, "width:{0:0.0}%;", bar * 100);
            html.Append(style.Length > 0 ? " style=\"" + style + "\">" : ">");
            WriteOwn(element);
            for (int each = 0; each < element.Parts.Count; each++)
            {
                Write(element.Parts[each], PaneStyle(element, each));
            }
            WriteScroller(element as ScrollView);
            html.Append("</div>");
        }

        private void WriteOwn(VisualElement element)
        {
            var text = element as TextElement;
            if (text != null && text.text.Length > 0)
            {
                html.Append("<span dir=\"auto\">").Append(Escape(text.text)).Append("</span>");
            }
            var image = element as Image;
            if (image != null && image.image != null)
            {
                html.Append("<img src=\"").Append(new Uri(image.image.name).AbsoluteUri).Append("\">");
            }
        }

        private void WriteScroller(ScrollView scroll)
        {
            if (scroll != null && scroll.verticalScrollerVisibility == ScrollerVisibility.AlwaysVisible)
            {
                html.Append("<div class=\"el fake-scroller\"><div class=\"el fake-thumb\"></div></div>");
            }
        }

        /// <summary>Which of the two panes is as large as it was told.</summary>
        private static string PaneStyle(VisualElement element, int index)
        {
            var split = element.Above as TwoPaneSplitView;
            if (split == null || element != split.contentContainer)
            {
                return string.Empty;
            }
            return index == split.fixedPaneIndex
                ? string.Format(CultureInfo.InvariantCulture, "flex:0 0 {0}px;", split.fixedPaneInitialDimension)
                : "flex:1 1 0;";
        }

        private static string Escape(string text)
        {
            return System.Security.SecurityElement.Escape(text);
        }
    }
}
