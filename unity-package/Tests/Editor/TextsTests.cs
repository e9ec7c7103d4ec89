// JSON that is written, labels that are kept, rows that are told apart.
using NUnit.Framework;

namespace Thumbforge.Editor.Tests
{
    internal sealed class TextsTests
    {
        [Test]
        public void JsonHasWhatIsSetAndNothingElse()
        {
            string json = new JsonText()
                .Add("verb", "say \"ja\"\n\\").Add("none", string.Empty).Add("empty", new string[0])
                .Add("list", new[] { "木箱", "b" }).Add("seed", 7).Add("absent", (long?)null).Switch("off", false).Switch("on", true)
                .ToString();
            Assert.That(json, Is.EqualTo(
                "{\"verb\":\"say \\\"ja\\\"\\u000a\\\\\",\"list\":[\"木箱\",\"b\"],\"seed\":7,\"on\":true}"));
            Assert.That(new JsonText().ToString(), Is.EqualTo("{}"));
        }

        [TestCase("local", new[] { "hero" }, new[] { "hero", "AI-generated", "thumbforge-local" })]
        [TestCase("builtin", new[] { "AI-generated", "thumbforge-local", "hero" }, new[] { "hero", "thumbforge-builtin" })]
        [TestCase("file", new string[0], new[] { "thumbforge-file" })]
        [TestCase("openai", new string[0], new[] { "AI-generated", "thumbforge-openai" })]
        public void OnlyWhatAModelDrewIsCalledGenerated(string engine, string[] before, string[] after)
        {
            Assert.That(Importer.Labels(before, engine), Is.EqualTo(after));
        }

        [TestCase("unchanged", RowState.Done)]
        [TestCase("planned", RowState.Missing)]
        [TestCase("running", RowState.Running)]
        [TestCase("ambiguous", RowState.Ambiguous)]
        [TestCase("a word of a later version", RowState.Waiting)]
        public void WordsBecomeStates(string word, object state)
        {
            Assert.That(Row.StateOf(word), Is.EqualTo(state));
        }
    }
}
