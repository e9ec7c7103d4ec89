// The machine, as Unity tells of it: a headless editor has no graphics device.
using UnityEngine.Rendering;

namespace UnityEngine.Rendering
{
    public enum GraphicsDeviceType
    {
        Null = 4,
        Vulkan = 21,
    }
}

namespace UnityEngine
{
    public sealed class SystemInfo
    {
        internal static GraphicsDeviceType Device = GraphicsDeviceType.Vulkan;

        public static GraphicsDeviceType graphicsDeviceType
        {
            get { return Device; }
        }
    }
}
