// TextureImporter: the settings of a picture, and the texture and sprite that they make of it.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using UnityEngine;
using Object = UnityEngine.Object;

namespace UnityEditor
{
    public sealed partial class TextureImporter : AssetImporter
    {
        public TextureImporterType textureType
        {
            get { return (TextureImporterType)Number("textureType", 0); }
            set { Put("textureType", (int)value); }
        }

        public TextureImporterShape textureShape
        {
            get { return (TextureImporterShape)Number("textureShape", 1); }
            set { Put("textureShape", (int)value); }
        }

        /// <summary>Multiple unless set, as in Unity 6: such a texture has no sprite.</summary>
        public SpriteImportMode spriteImportMode
        {
            get { return (SpriteImportMode)Number("spriteMode", (int)SpriteImportMode.Multiple); }
            set { Put("spriteMode", (int)value); }
        }

        public float spritePixelsPerUnit
        {
            get { return Real("spritePixelsPerUnit", 100); }
            set { Put("spritePixelsPerUnit", value); }
        }

        public Vector4 spriteBorder
        {
            get
            {
                return new Vector4(Real("spriteBorder.x", 0), Real("spriteBorder.y", 0), Real("spriteBorder.z", 0),
                    Real("spriteBorder.w", 0));
            }
            set
            {
                Put("spriteBorder.x", value.x);
                Put("spriteBorder.y", value.y);
                Put("spriteBorder.z", value.z);
                Put("spriteBorder.w", value.w);
            }
        }

        public bool sRGBTexture
        {
            get { return Flag("sRGBTexture", true); }
            set { Put("sRGBTexture", value); }
        }

        public bool alphaIsTransparency
        {
            get { return Flag("alphaIsTransparency", false); }
            set { Put("alphaIsTransparency", value); }
        }

        public TextureImporterAlphaSource alphaSource
        {
            get { return (TextureImporterAlphaSource)Number("alphaUsage", 1); }
            set { Put("alphaUsage", (int)value); }
        }

        public bool mipmapEnabled
        {
            get { return Flag("enableMipMap", true); }
            set { Put("enableMipMap", value); }
        }

        public bool streamingMipmaps
        {
            get { return Flag("streamingMipmaps", false); }
            set { Put("streamingMipmaps", value); }
        }

        public bool isReadable
        {
            get { return Flag("isReadable", false); }
            set { Put("isReadable", value); }
        }

        public TextureImporterNPOTScale npotScale
        {
            get { return (TextureImporterNPOTScale)Number("nPOTScale", 1); }
            set { Put("nPOTScale", (int)value); }
        }

        public FilterMode filterMode
        {
            get { return (FilterMode)Number("filterMode", 1); }
            set { Put("filterMode", (int)value); }
        }

        public TextureWrapMode wrapMode
        {
            get { return (TextureWrapMode)Number("wrapMode", 0); }
            set { Put("wrapMode", (int)value); }
        }

        public int anisoLevel
        {
            get { return Number("aniso", 1); }
            set { Put("aniso", value); }
        }

        public int maxTextureSize
        {
            get { return Number("maxTextureSize", 2048); }
            set { Put("maxTextureSize", value); }
        }

        public TextureImporterCompression textureCompression
        {
            get { return (TextureImporterCompression)Number("textureCompression", 1); }
            set { Put("textureCompression", (int)value); }
        }

        public int compressionQuality
        {
            get { return Number("compressionQuality", 50); }
            set { Put("compressionQuality", value); }
        }

        public bool crunchedCompression
        {
            get { return Flag("crunchedCompression", false); }
            set { Put("crunchedCompression", value); }
        }

        public void GetSourceTextureWidthAndHeight(out int width, out int height)
        {
            int[] size = SourceSize();
            width = size[0];
            height = size[1];
        }

        /// <summary>The objects of an asset stay the same over a re-import, as references to them demand.</summary>
        internal override void Produce(List<Object> objects)
        {
            Texture2D texture = null;
            Sprite sprite = null;
            foreach (Object item in objects)
            {
                texture = texture ?? item as Texture2D;
                sprite = sprite ?? item as Sprite;
            }
            texture = texture ?? new Texture2D(name);
            int[] size = ImportedSize();
            texture.width = size[0];
            texture.height = size[1];
            texture.filterMode = filterMode;
            texture.wrapMode = wrapMode;
            objects.Clear();
            objects.Add(texture);
            if (textureType == TextureImporterType.Sprite && spriteImportMode == SpriteImportMode.Single)
            {
                sprite = sprite ?? new Sprite(texture, spriteBorder);
                sprite.border = spriteBorder;
                objects.Add(sprite);
            }
        }

        private int[] SourceSize()
        {
            var head = new byte[33];
            using (FileStream file = File.OpenRead(FakeAssets.Full(assetPath)))
            {
                file.Read(head, 0, head.Length);
            }
            return FakePng.Size(head) ?? new[] { 0, 0 };
        }

        private int[] ImportedSize()
        {
            int[] size = SourceSize();
            if (textureType == TextureImporterType.Default && npotScale != TextureImporterNPOTScale.None)
            {
                size = new[] { PowerOfTwo(size[0]), PowerOfTwo(size[1]) };
            }
            int longer = Math.Max(size[0], size[1]);
            if (longer > maxTextureSize)
            {
                size = new[] { size[0] * maxTextureSize / longer, size[1] * maxTextureSize / longer };
            }
            return size;
        }

        private int PowerOfTwo(int side)
        {
            int larger = 1;
            while (larger < side)
            {
                larger *= 2;
            }
            bool down = npotScale == TextureImporterNPOTScale.ToSmaller ||
                (npotScale == TextureImporterNPOTScale.ToNearest && side - larger / 2 < larger - side);
            return larger > side && down ? larger / 2 : larger;
        }
    }
}
