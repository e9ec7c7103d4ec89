// From a lent picture to a Unity texture: one copy, done by native code, which turns the rows around on the way.
using System.Threading;
using System.Threading.Tasks;
using Thumbforge.Editor.Native;
using Unity.Collections;
using Unity.Collections.LowLevel.Unsafe;
using UnityEngine;
using UnityEngine.Rendering;

namespace Thumbforge.Editor
{
    /// <summary>
    /// A texture whose pixels are on their way. They are copied on another thread: both sides of the copy are memory that nobody
    /// has touched yet, and having the system find pages for a megabyte takes longer than a frame has to spare.
    /// </summary>
    internal sealed unsafe class PixelCopy
    {
        private readonly ulong job;
        private readonly byte* into;
        private readonly long bytes;
        private readonly Task copying;

        /// <summary>Begins to copy the pixels of a completion, which stays lent until <see cref="Finish"/>.</summary>
        internal PixelCopy(ref TfCompletion completion)
        {
            job = completion.job;
            // RGBA32, sRGB, without mipmaps.
            Texture = new Texture2D((int)completion.width, (int)completion.height, TextureFormat.RGBA32, false, false);
            Texture.hideFlags = HideFlags.HideAndDontSave;
            NativeArray<byte> pixels = Texture.GetRawTextureData<byte>();
            into = (byte*)NativeArrayUnsafeUtility.GetUnsafePtr(pixels);
            bytes = pixels.Length;
            copying = Task.Run(() => NativeJob.CopyTexture(job, into, bytes));
        }

        /// <summary>The texture; to be shown once the copy is finished.</summary>
        internal Texture2D Texture { get; private set; }

        internal bool IsDone
        {
            get { return copying.IsCompleted; }
        }

        /// <summary>Waits for the copy, whatever it comes to.</summary>
        internal void Wait(int milliseconds)
        {
            Task.WaitAny(new[] { copying }, milliseconds);
        }

        /// <summary>Waits for the copy if it is not done, makes the texture ready, and gives the picture back.</summary>
        /// <exception cref="ThumbforgeException">When the pixels were not there; the texture is gone then.</exception>
        internal void Finish()
        {
            try
            {
                copying.GetAwaiter().GetResult();
                // Without a graphics device (-nographics) there is nothing to upload to.
                if (SystemInfo.graphicsDeviceType != GraphicsDeviceType.Null)
                {
                    Texture.Apply(false, false);
                }
            }
            catch
            {
                Object.DestroyImmediate(Texture);
                throw;
            }
            finally
            {
                NativeJob.Release(job);
            }
        }

        /// <summary>Leaves the picture lent, for scripts that come after a reload.</summary>
        internal void Leave()
        {
            Wait(Timeout.Infinite);
            Object.DestroyImmediate(Texture);
        }
    }
}
