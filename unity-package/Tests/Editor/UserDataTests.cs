// The one field in an importer's userData, beside whatever others keep there.
using NUnit.Framework;

namespace Thumbforge.Editor.Tests
{
    internal sealed class UserDataTests
    {
        private const string Key = "00ff";

        [TestCase("", "{\"thumbforge\":\"00ff\"}")]
        [TestCase(null, "{\"thumbforge\":\"00ff\"}")]
        [TestCase("  ", "{\"thumbforge\":\"00ff\"}")]
        [TestCase("{}", "{\"thumbforge\":\"00ff\"}")]
        [TestCase("{ }", "{\"thumbforge\":\"00ff\" }")]
        [TestCase("{\"other\": 1}", "{\"thumbforge\":\"00ff\",\"other\": 1}")]
        [TestCase("{\"a\":[{\"thumbforge\":\"no\"}]}", "{\"thumbforge\":\"00ff\",\"a\":[{\"thumbforge\":\"no\"}]}")]
        [TestCase("{\"thumbforge\":\"old\"}", "{\"thumbforge\":\"00ff\"}")]
        [TestCase("{ \"b\" : \"}\\\"\" , \"thumbforge\" : \"old\" , \"c\":null }",
            "{ \"b\" : \"}\\\"\" , \"thumbforge\" : \"00ff\" , \"c\":null }")]
        public void TheKeyIsSetAndEverythingElseStays(string before, string after)
        {
            Assert.That(UserData.With(before, Key), Is.EqualTo(after));
            Assert.That(UserData.Key(after), Is.EqualTo(Key));
            Assert.That(UserData.With(after, Key), Is.SameAs(after), "a second time changes nothing");
        }

        [TestCase("rtl-ready")]
        [TestCase("[1,2]")]
        [TestCase("{\"a\":1")]
        [TestCase("{\"a\":}")]
        [TestCase("{\"a\":1}x")]
        [TestCase("{\"a\" 1}")]
        [TestCase("{a:1}")]
        [TestCase("{\"thumbforge\":{\"theirs\":true}}")]
        [TestCase("{\"a\":\"unfinished}")]
        public void WhatIsNoJsonObjectOfOursIsLeftAlone(string foreign)
        {
            Assert.That(UserData.With(foreign, Key), Is.SameAs(foreign));
            Assert.That(UserData.Key(foreign), Is.EqualTo(string.Empty));
        }
    }
}
