// PNG files that tests make themselves: small, valid, with any size.
using System.IO;
using System.IO.Compression;

namespace Thumbforge.Tests
{
    internal static class Pictures
    {
        /// <summary>Writes a picture of one colour; folders are made.</summary>
        internal static void Write(string file, int width, int height, byte shade)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file));
            File.WriteAllBytes(file, Png(width, height, shade));
        }

        internal static byte[] Png(int width, int height, byte shade)
        {
            var rows = new byte[(width * 4 + 1) * height];
            for (int at = 0; at < rows.Length; at++)
            {
                rows[at] = at % (width * 4 + 1) == 0 ? (byte)0 : shade;
            }
            var packed = new MemoryStream();
            packed.WriteByte(0x78);
            packed.WriteByte(0x01);
            using (var deflate = new DeflateStream(packed, CompressionMode.Compress, true))
            {
                deflate.Write(rows, 0, rows.Length);
            }
            Number(packed, Adler(rows));
            var png = new MemoryStream();
            png.Write(new byte[] { 137, 80, 78, 71, 13, 10, 26, 10 }, 0, 8);
            var head = new MemoryStream();
            Number(head, (uint)width);
            Number(head, (uint)height);
            head.Write(new byte[] { 8, 6, 0, 0, 0 }, 0, 5);
            Chunk(png, "IHDR", head.ToArray());
            Chunk(png, "IDAT", packed.ToArray());
            Chunk(png, "IEND", new byte[0]);
            return png.ToArray();
        }

        private static void Chunk(Stream png, string kind, byte[] data)
        {
            var body = new byte[data.Length + 4];
            System.Text.Encoding.ASCII.GetBytes(kind, 0, 4, body, 0);
            data.CopyTo(body, 4);
            Number(png, (uint)data.Length);
            png.Write(body, 0, body.Length);
            Number(png, Crc(body));
        }

        private static void Number(Stream to, uint value)
        {
            to.Write(new[] { (byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value }, 0, 4);
        }

        private static uint Crc(byte[] data)
        {
            uint crc = 0xffffffff;
            foreach (byte value in data)
            {
                crc ^= value;
                for (int bit = 0; bit < 8; bit++)
                {
                    crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
                }
            }
            return ~crc;
        }

        private static uint Adler(byte[] data)
        {
            uint low = 1, high = 0;
            foreach (byte value in data)
            {
                low = (low + value) % 65521;
                high = (high + low) % 65521;
            }
            return high << 16 | low;
        }
    }
}
