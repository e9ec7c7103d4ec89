// NativeArray: memory outside the managed heap, seen as an array.
using System;
using System.Runtime.InteropServices;

namespace Unity.Collections
{
    public enum Allocator
    {
        Invalid = 0,
        None = 1,
        Temp = 2,
        TempJob = 3,
        Persistent = 4,
    }

    public enum NativeArrayOptions
    {
        UninitializedMemory = 0,
        ClearMemory = 1,
    }

    public unsafe struct NativeArray<T> : IDisposable where T : struct
    {
        private readonly Allocator allocator;
        private IntPtr buffer;

        public NativeArray(int length, Allocator allocator, NativeArrayOptions options = NativeArrayOptions.ClearMemory)
        {
            this.allocator = allocator;
            Length = length;
            buffer = Marshal.AllocHGlobal(Math.Max(1, length * Marshal.SizeOf(typeof(T))));
            if (options == NativeArrayOptions.ClearMemory)
            {
                new Span<T>((void*)buffer, length).Clear();
            }
        }

        public NativeArray(T[] array, Allocator allocator) :
            this(array.Length, allocator, NativeArrayOptions.UninitializedMemory)
        {
            CopyFrom(array);
        }

        internal NativeArray(IntPtr memory, int length)
        {
            allocator = Allocator.None;
            buffer = memory;
            Length = length;
        }

        public int Length { get; }

        public bool IsCreated
        {
            get { return buffer != IntPtr.Zero; }
        }

        internal IntPtr Memory
        {
            get
            {
                if (!IsCreated)
                {
                    throw new ObjectDisposedException("The NativeArray has been deallocated");
                }
                return buffer;
            }
        }

        public T this[int index]
        {
            get { return new Span<T>((void*)Memory, Length)[index]; }
            set { new Span<T>((void*)Memory, Length)[index] = value; }
        }

        public void CopyFrom(T[] array)
        {
            SameLength(array.Length);
            new Span<T>(array).CopyTo(new Span<T>((void*)Memory, Length));
        }

        public void CopyTo(T[] array)
        {
            SameLength(array.Length);
            new Span<T>((void*)Memory, Length).CopyTo(array);
        }

        public T[] ToArray()
        {
            return new Span<T>((void*)Memory, Length).ToArray();
        }

        public void Dispose()
        {
            if (allocator <= Allocator.None)
            {
                throw new InvalidOperationException("The NativeArray can not be Disposed: it is not the owner");
            }
            Marshal.FreeHGlobal(Memory);
            buffer = IntPtr.Zero;
        }

        private void SameLength(int length)
        {
            if (length != Length)
            {
                throw new ArgumentException("source and destination length must be the same");
            }
        }
    }
}

namespace Unity.Collections.LowLevel.Unsafe
{
    public static class NativeArrayUnsafeUtility
    {
        public static unsafe void* GetUnsafePtr<T>(NativeArray<T> nativeArray) where T : struct
        {
            return (void*)nativeArray.Memory;
        }

        public static unsafe void* GetUnsafeReadOnlyPtr<T>(NativeArray<T> nativeArray) where T : struct
        {
            return (void*)nativeArray.Memory;
        }
    }
}
