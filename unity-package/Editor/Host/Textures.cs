// From a lent picture to a Unity texture: one copy, done by native code, which turns the rows around on the way.
using Thumbforge.Editor.Native;
using Unity.Collections;
using Unity.Collections.LowLevel.Unsafe;
using UnityEngine;
using UnityEngine.Rendering;

namespace Thumbforge.Editor
{
    /// <summary>Textures of completions.</summary>
    internal static unsafe class Textures
    {
        /// <summary>A texture of the completion's pixels: RGBA32, sRGB, without mipmaps; the caller destroys it.</summary>
        /// <exception cref="ThumbforgeException">When the pixels are not there.</exception>
        internal static Texture2D Of(ref TfCompletion completion)
        {
            var texture = new Texture2D((int)completion.width, (int)completion.height, TextureFormat.RGBA32, false, false);
            try
            {
                texture.hideFlags = HideFlags.HideAndDontSave;
                NativeArray<byte> pixels = texture.GetRawTextureData<byte>();
                NativeJob.CopyTexture(completion.job, NativeArrayUnsafeUtility.GetUnsafePtr(pixels), pixels.Length);
                // Without a graphics device (-nographics) there is nothing to upload to.
                if (SystemInfo.graphicsDeviceType != GraphicsDeviceType.Null)
                {
                    texture.Apply(false, false);
                }
                return texture;
            }
            catch
            {
                Object.DestroyImmediate(texture);
                throw;
            }
        }
    }
}
