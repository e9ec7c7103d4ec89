// The native library is where Unity finds it, and is that of these scripts.
using NUnit.Framework;
using Thumbforge.Editor.Native;

namespace Thumbforge.Editor.Tests
{
    internal sealed class LibraryTests
    {
        [Test]
        public void TheLibraryIsThatOfTheseScripts()
        {
            uint loaded = NativeMethods.tf_abi_version();
            Assert.That(loaded >> 16, Is.EqualTo(NativeMethods.TF_ABI_VERSION >> 16), "another major version");
            Assert.That(loaded, Is.GreaterThanOrEqualTo(NativeMethods.TF_ABI_VERSION), "an older library");
        }
    }
}
