// ImageConversion.LoadImage: a PNG decoder in managed code, for what editors without shared memory have to do.
using System;
using System.IO;
using System.IO.Compression;

namespace UnityEngine
{
    public static class ImageConversion
    {
        /// <summary>Decodes a PNG into the texture, which takes the picture's size; false if it is none.</summary>
        public static bool LoadImage(this Texture2D tex, byte[] data, bool markNonReadable)
        {
            FakePng png = FakePng.Read(data);
            if (png == null)
            {
                return false;
            }
            tex.Reinitialize(png.Width, png.Height);
            byte[] turned = png.BottomUp();
            tex.LoadRawTextureData(turned);
            tex.Apply(false, markNonReadable);
            return true;
        }

        public static bool LoadImage(this Texture2D tex, byte[] data)
        {
            return LoadImage(tex, data, false);
        }
    }

    /// <summary>A decoded PNG of 8 bits a channel, RGB or RGBA, not interlaced.</summary>
    internal sealed class FakePng
    {
        private static readonly byte[] Signature = { 137, 80, 78, 71, 13, 10, 26, 10 };
        private byte[] rows;
        private int channels;

        internal int Width { get; private set; }

        internal int Height { get; private set; }

        /// <summary>Width and height from the first bytes; null if it is no PNG.</summary>
        internal static int[] Size(byte[] data)
        {
            if (data.Length < 33 || !StartsWell(data))
            {
                return null;
            }
            return new[] { Number(data, 16), Number(data, 20) };
        }

        internal static FakePng Read(byte[] data)
        {
            int[] size = Size(data);
            bool known = size != null && data[24] == 8 && (data[25] == 2 || data[25] == 6) && data[28] == 0;
            if (!known)
            {
                return null;
            }
            var png = new FakePng { Width = size[0], Height = size[1], channels = data[25] == 6 ? 4 : 3 };
            var packed = new MemoryStream();
            for (int at = 8; at + 12 <= data.Length;)
            {
                int bytes = Number(data, at);
                if (data[at + 4] == 'I' && data[at + 5] == 'D' && data[at + 6] == 'A' && data[at + 7] == 'T')
                {
                    packed.Write(data, at + 8, bytes);
                }
                at += bytes + 12;
            }
            // Two bytes of zlib's head stand before the deflated stream.
            packed.Position = 2;
            png.rows = new byte[(png.Width * png.channels + 1) * png.Height];
            using (var stream = new DeflateStream(packed, CompressionMode.Decompress))
            {
                int read = 0, now;
                while (read < png.rows.Length && (now = stream.Read(png.rows, read, png.rows.Length - read)) > 0)
                {
                    read += now;
                }
                if (read < png.rows.Length)
                {
                    return null;
                }
            }
            png.Unfilter();
            return png;
        }

        /// <summary>RGBA with the bottom row first, as textures are.</summary>
        internal byte[] BottomUp()
        {
            var pixels = new byte[Width * Height * 4];
            int stride = Width * channels;
            for (int row = 0; row < Height; row++)
            {
                int from = row * (stride + 1) + 1, to = (Height - 1 - row) * Width * 4;
                if (channels == 4)
                {
                    Buffer.BlockCopy(rows, from, pixels, to, stride);
                    continue;
                }
                for (int at = 0; at < Width; at++)
                {
                    pixels[to + at * 4] = rows[from + at * 3];
                    pixels[to + at * 4 + 1] = rows[from + at * 3 + 1];
                    pixels[to + at * 4 + 2] = rows[from + at * 3 + 2];
                    pixels[to + at * 4 + 3] = 255;
                }
            }
            return pixels;
        }

        private void Unfilter()
        {
            int stride = Width * channels;
            for (int row = 0; row < Height; row++)
            {
                int line = row * (stride + 1) + 1, above = line - stride - 1, filter = rows[line - 1];
                for (int at = 0; at < stride; at++)
                {
                    int left = at >= channels ? rows[line + at - channels] : 0;
                    int up = row > 0 ? rows[above + at] : 0;
                    int corner = row > 0 && at >= channels ? rows[above + at - channels] : 0;
                    rows[line + at] += (byte)Predicted(filter, left, up, corner);
                }
            }
        }

        private static int Predicted(int filter, int left, int up, int corner)
        {
            switch (filter)
            {
                case 1: return left;
                case 2: return up;
                case 3: return (left + up) / 2;
                case 4:
                    int toLeft = Math.Abs(up - corner), toUp = Math.Abs(left - corner);
                    int toCorner = Math.Abs(left + up - 2 * corner);
                    return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
                default: return 0;
            }
        }

        private static bool StartsWell(byte[] data)
        {
            for (int at = 0; at < Signature.Length; at++)
            {
                if (data[at] != Signature[at])
                {
                    return false;
                }
            }
            return true;
        }

        private static int Number(byte[] data, int at)
        {
            return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
        }
    }
}
