// The command line of headless editors.
using System;
using NUnit.Framework;

namespace Thumbforge.Editor.Tests
{
    internal sealed class BatchArgumentsTests
    {
        private static BatchArguments Read(params string[] arguments)
        {
            return BatchArguments.Read(arguments);
        }

        [Test]
        public void UnitysOwnArgumentsArePassedOver()
        {
            BatchArguments read = Read("Unity", "-batchmode", "-executeMethod", "Thumbforge.Editor.Batch.Regenerate", "-quit");
            Assert.That(read.Build.locales, Is.Empty);
            Assert.That(read.Timeout, Is.Null);
        }

        [Test]
        public void EveryArgumentIsRead()
        {
            BatchArguments read = Read(
                "-thumbforgeManifest", "Art", "-thumbforgeLocales", "ja, ko", "-thumbforgeTimeout", "1.5", "-thumbforgeCheck",
                "-thumbforgeRequire", "approved", "-thumbforgeDeny", "builtin,preview", "-ThumbforgeDryRun",
                "-thumbforgeBudget", "2.50");
            Assert.That(read.Build.manifest, Is.EqualTo("Art"));
            Assert.That(read.Build.locales, Is.EqualTo(new[] { "ja", "ko" }));
            Assert.That(read.Timeout, Is.EqualTo(TimeSpan.FromSeconds(1.5)));
            Assert.That(read.Build.require, Is.EqualTo(new[] { "approved" }));
            Assert.That(read.Build.deny, Is.EqualTo(new[] { "builtin", "preview" }));
            Assert.That(read.Build.budget, Is.EqualTo("2.50"));
            Assert.That(read.Build.check && read.Build.dryRun, Is.True);
        }

        [TestCase("-thumbforgeLocale", "ja", "no argument -thumbforgeLocale")]
        [TestCase("-thumbforgeTimeout", "soon", "a number of seconds")]
        [TestCase("-thumbforgeTimeout", "0", "a number of seconds")]
        [TestCase("-thumbforgeTimeout", "NaN", "a number of seconds")]
        [TestCase("-thumbforgeReport", "-quit", "needs a value")]
        public void MistakesAreNamed(string name, string value, string said)
        {
            var failure = Assert.Throws<ThumbforgeException>(() => Read(name, value));
            Assert.That(failure.Code, Is.EqualTo("invalid_request"));
            Assert.That(failure.Message, Contains.Substring(said));
        }
    }
}
