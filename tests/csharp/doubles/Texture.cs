// Textures and sprites: RGBA32 memory that somebody has to destroy, and stand-ins for imported assets.
using System;
using System.Runtime.InteropServices;
using Unity.Collections;
using UnityEditor;

namespace UnityEngine
{
    public enum FilterMode
    {
        Point = 0,
        Bilinear = 1,
        Trilinear = 2,
    }

    public enum TextureWrapMode
    {
        Repeat = 0,
        Clamp = 1,
        Mirror = 2,
        MirrorOnce = 3,
    }

    public enum TextureFormat
    {
        Alpha8 = 1,
        RGB24 = 3,
        RGBA32 = 4,
        ARGB32 = 5,
        BGRA32 = 14,
        BC7 = 25,
        ASTC_6x6 = 50,
    }

    public abstract class Texture : Object
    {
        protected Texture()
        {
        }

        public int width { get; set; }

        public int height { get; set; }

        public FilterMode filterMode { get; set; } = FilterMode.Bilinear;

        public TextureWrapMode wrapMode { get; set; }

        public int anisoLevel { get; set; } = 1;
    }

    public sealed class Texture2D : Texture
    {
        private IntPtr memory;
        private int bytes;
        private bool readable = true;

        public Texture2D(int width, int height) : this(width, height, TextureFormat.RGBA32, true)
        {
        }

        public Texture2D(int width, int height, TextureFormat textureFormat, bool mipChain) :
            this(width, height, textureFormat, mipChain, false)
        {
        }

        public Texture2D(int width, int height, TextureFormat textureFormat, bool mipChain, bool linear)
        {
            FakeEditor.MainThreadOnly("Texture2D.ctor");
            if (textureFormat != TextureFormat.RGBA32)
            {
                throw new UnityException("this double has textures of RGBA32 only");
            }
            Linear = linear;
            MipChain = mipChain;
            Allocate(width, height);
        }

        /// <summary>A stand-in for an imported picture: a size without memory.</summary>
        internal Texture2D(string name)
        {
            this.name = name;
            readable = false;
        }

        public TextureFormat format
        {
            get { return TextureFormat.RGBA32; }
        }

        public bool isReadable
        {
            get { return readable; }
        }

        internal bool Linear { get; }

        internal bool MipChain { get; }

        /// <summary>Times that the memory went to the graphics card.</summary>
        internal int Applied { get; private set; }

        public void LoadRawTextureData(IntPtr data, int size)
        {
            Memory();
            if (size < bytes)
            {
                throw new UnityException("LoadRawTextureData: not enough data provided (will result in overread).");
            }
            CopyMemory(data, memory, bytes);
        }

        public void LoadRawTextureData(byte[] data)
        {
            Memory();
            if (data.Length < bytes)
            {
                throw new UnityException("LoadRawTextureData: not enough data provided (will result in overread).");
            }
            Marshal.Copy(data, 0, memory, bytes);
        }

        public byte[] GetRawTextureData()
        {
            var copy = new byte[bytes];
            Marshal.Copy(Memory(), copy, 0, bytes);
            return copy;
        }

        /// <summary>The memory itself, not a copy: valid until the texture is destroyed.</summary>
        public NativeArray<T> GetRawTextureData<T>() where T : struct
        {
            return new NativeArray<T>(Memory(), bytes / Marshal.SizeOf(typeof(T)));
        }

        public void Apply(bool updateMipmaps, bool makeNoLongerReadable)
        {
            FakeEditor.MainThreadOnly("Apply");
            Memory();
            Applied++;
            FakeTextures.Applied++;
            if (makeNoLongerReadable)
            {
                readable = false;
            }
        }

        public void Apply(bool updateMipmaps)
        {
            Apply(updateMipmaps, false);
        }

        public void Apply()
        {
            Apply(true, false);
        }

        public bool Reinitialize(int width, int height)
        {
            Memory();
            Free();
            Allocate(width, height);
            return true;
        }

        internal override void OnFakeDestroy()
        {
            Free();
        }

        private void Allocate(int width, int height)
        {
            if (width <= 0 || height <= 0 || width > 16384 || height > 16384)
            {
                throw new UnityException("Failed to create texture because of invalid parameters.");
            }
            this.width = width;
            this.height = height;
            // With a mip chain all levels lie behind each other, as in Unity.
            bytes = 0;
            for (int w = width, h = height; ; w = Math.Max(1, w / 2), h = Math.Max(1, h / 2))
            {
                bytes += w * h * 4;
                if (!MipChain || (w == 1 && h == 1))
                {
                    break;
                }
            }
            memory = Marshal.AllocHGlobal(bytes);
            FakeTextures.Live++;
        }

        private void Free()
        {
            if (memory != IntPtr.Zero)
            {
                Marshal.FreeHGlobal(memory);
                memory = IntPtr.Zero;
                FakeTextures.Live--;
            }
        }

        private IntPtr Memory()
        {
            if (Destroyed)
            {
                throw new MissingReferenceException("The object of type 'Texture2D' has been destroyed.");
            }
            if (!readable)
            {
                throw new UnityException("Texture '" + name + "' is not readable.");
            }
            return memory;
        }

        private static unsafe void CopyMemory(IntPtr from, IntPtr to, int bytes)
        {
            Buffer.MemoryCopy((void*)from, (void*)to, bytes, bytes);
        }
    }

    public sealed class Sprite : Object
    {
        internal Sprite(Texture2D texture, Vector4 border)
        {
            name = texture.name;
            this.texture = texture;
            this.border = border;
        }

        public Texture2D texture { get; internal set; }

        public Vector4 border { get; internal set; }

        public Rect rect
        {
            get { return new Rect(0, 0, texture.width, texture.height); }
        }
    }

    public class MissingReferenceException : SystemException
    {
        public MissingReferenceException(string message) : base(message)
        {
        }
    }

    /// <summary>Textures with memory that nobody has destroyed, and how often any was applied.</summary>
    internal static class FakeTextures
    {
        internal static int Live;
        internal static int Applied;
    }
}
