// What the checks found in a picture, and whether its words could be read back.
using System.Collections.Generic;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>The sections about findings and words.</summary>
    internal sealed class Checks
    {
        /// <summary>Nobody reads more of them, and a broken check could report thousands.</summary>
        private const int FindingsMax = 50;

        private readonly Foldout findingsFold, wordsFold;
        private readonly VisualElement findings, expectedLine, readLine;
        private readonly Label verdict, expected, read;

        internal Checks(VisualElement root)
        {
            findingsFold = root.Q<Foldout>("findings-fold");
            findings = root.Q<VisualElement>("findings");
            wordsFold = root.Q<Foldout>("words-fold");
            verdict = root.Q<Label>("words-verdict");
            expectedLine = root.Q<VisualElement>("words-expected-line");
            readLine = root.Q<VisualElement>("words-read-line");
            expected = root.Q<Label>("words-expected");
            read = root.Q<Label>("words-read");
        }

        internal void Show(Row row)
        {
            ShowFindings(row.Findings);
            ShowWords(row);
        }

        private void ShowWords(Row row)
        {
            bool wanted = row.Expected.Length > 0, wasRead = row.TextScore >= 0;
            wordsFold.text = wasRead ? "Words (" + Wording.Percent(row.TextScore) + ")" : "Words";
            verdict.text = Wording.TextCheck(row);
            verdict.EnableInClassList("tf-words__verdict--missed", wasRead && row.TextScore < 1);
            verdict.EnableInClassList("tf-words__verdict--unread", !wasRead);
            UiFiles.Show(expectedLine, wanted);
            UiFiles.Show(readLine, wasRead && wanted);
            expected.text = row.Expected;
            read.text = row.Read.Length == 0 ? "nothing" : row.Read;
        }

        private void ShowFindings(List<Finding> found)
        {
            int count = found == null ? 0 : found.Count;
            UiFiles.Show(findingsFold, count > 0);
            findingsFold.text = "Findings (" + count + ")";
            findings.Clear();
            for (int each = 0; each < count && each < FindingsMax; each++)
            {
                findings.Add(Line(found[each]));
            }
        }

        private static VisualElement Line(Finding finding)
        {
            var line = new VisualElement();
            line.AddToClassList("tf-finding");
            line.AddToClassList("tf-finding--" + finding.Severity);
            var shape = new VisualElement { tooltip = finding.Severity };
            shape.AddToClassList("tf-finding__shape");
            line.Add(shape);
            var body = new VisualElement();
            body.AddToClassList("tf-finding__body");
            line.Add(body);
            var text = new Label(finding.Message) { enableRichText = false };
            text.AddToClassList("tf-finding__text");
            body.Add(text);
            var code = new Label(finding.Severity + " · " + finding.Code);
            code.AddToClassList("tf-finding__code");
            body.Add(code);
            return line;
        }
    }
}
