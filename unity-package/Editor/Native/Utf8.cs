// Text on its way to native code and back.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Thumbforge.Editor.Native
{
    /// <summary>UTF-8 that native code may read until this is disposed. Not moved by the collector.</summary>
    internal unsafe struct Utf8 : IDisposable
    {
        private GCHandle pin;
        private readonly int length;

        internal Utf8(string text)
        {
            byte[] bytes = string.IsNullOrEmpty(text) ? null : Encoding.UTF8.GetBytes(text);
            length = bytes == null ? 0 : bytes.Length;
            pin = bytes == null ? default(GCHandle) : GCHandle.Alloc(bytes, GCHandleType.Pinned);
        }

        internal byte* Data
        {
            get { return pin.IsAllocated ? (byte*)pin.AddrOfPinnedObject() : null; }
        }

        internal uint Bytes
        {
            get { return (uint)length; }
        }

        internal TfText Text
        {
            get { return new TfText { data = Data, bytes = Bytes }; }
        }

        public void Dispose()
        {
            if (pin.IsAllocated)
            {
                pin.Free();
            }
        }
    }

    /// <summary>A native function that writes text: how many bytes it needs, or its bytes.</summary>
    internal unsafe delegate uint TextWriter(byte* buffer, uint capacity, uint* needed);

    /// <summary>Texts that native code writes.</summary>
    internal static unsafe class NativeText
    {
        /// <summary>Reads a text of any length; what it says may grow between the two calls.</summary>
        /// <exception cref="ThumbforgeException">The status that the function gave.</exception>
        internal static string Read(TextWriter write, string what)
        {
            uint needed = 0;
            Status.Check(write(null, 0, &needed), what);
            while (true)
            {
                if (needed == 0)
                {
                    return string.Empty;
                }
                byte[] bytes = new byte[needed];
                uint status;
                fixed (byte* at = bytes)
                {
                    status = write(at, (uint)bytes.Length, &needed);
                }
                if (status != NativeMethods.TF_TOO_LARGE)
                {
                    Status.Check(status, what);
                    return Encoding.UTF8.GetString(bytes, 0, (int)needed);
                }
            }
        }

        /// <summary>Static, NUL-terminated text of the library.</summary>
        internal static string Static(byte* text)
        {
            return text == null ? string.Empty : Marshal.PtrToStringAnsi((IntPtr)text);
        }
    }
}
