// What a PNG says of itself: the `thumbforge` text chunk, which is the truth that userData is a copy of.
using System;
using System.IO;
using System.Text;
using UnityEngine;

// Fields are assigned by JsonUtility.
#pragma warning disable 0649

namespace Thumbforge.Editor
{
    /// <summary>The part of a picture's provenance that the asset database is told of.</summary>
    [Serializable]
    internal sealed class PngProvenance
    {
        public string realised_key;
        public string engine;
        public string model;
        public string tier;

        /// <summary>Longest chunk that is read: a recipe at its longest is far below it.</summary>
        private const int ChunkBytesMax = 1 << 20;

        private static readonly byte[] Signature = { 0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10 };
        private static readonly byte[] Keyword = Encoding.ASCII.GetBytes("thumbforge\0\0\0\0\0");

        /// <summary>What the file says, or null where it says nothing of the kind or cannot be read.</summary>
        internal static PngProvenance Read(string file)
        {
            try
            {
                using (var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
                {
                    string json = Chunk(stream);
                    PngProvenance said = json == null ? null : JsonUtility.FromJson<PngProvenance>(json);
                    return said == null || string.IsNullOrEmpty(said.realised_key) ? null : said;
                }
            }
            catch (Exception fault) when (fault is IOException || fault is UnauthorizedAccessException || fault is ArgumentException)
            {
                return null;
            }
        }

        /// <summary>
        /// The text of the iTXt chunk (PNG, third edition, 11.3.3.4): keyword, two zero bytes for "not compressed", an empty
        /// language tag and an empty translated keyword, each ended by zero; then UTF-8.
        /// </summary>
        private static string Chunk(Stream stream)
        {
            byte[] head = new byte[8];
            if (!Fill(stream, head) || !Equal(head, Signature, Signature.Length))
            {
                return null;
            }
            while (Fill(stream, head))
            {
                uint length = (uint)(head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3]);
                string kind = Encoding.ASCII.GetString(head, 4, 4);
                if (kind == "IEND")
                {
                    return null;
                }
                if (kind != "iTXt" || length > ChunkBytesMax || length < Keyword.Length)
                {
                    // The data and its checksum.
                    stream.Seek((long)length + 4, SeekOrigin.Current);
                    continue;
                }
                byte[] data = new byte[length];
                if (!Fill(stream, data))
                {
                    return null;
                }
                if (Equal(data, Keyword, Keyword.Length))
                {
                    return Encoding.UTF8.GetString(data, Keyword.Length, data.Length - Keyword.Length);
                }
                stream.Seek(4, SeekOrigin.Current);
            }
            return null;
        }

        private static bool Fill(Stream stream, byte[] buffer)
        {
            int at = 0;
            while (at < buffer.Length)
            {
                int read = stream.Read(buffer, at, buffer.Length - at);
                if (read == 0)
                {
                    return false;
                }
                at += read;
            }
            return true;
        }

        private static bool Equal(byte[] a, byte[] b, int count)
        {
            for (int at = 0; at < count; at++)
            {
                if (a[at] != b[at])
                {
                    return false;
                }
            }
            return true;
        }
    }
}
