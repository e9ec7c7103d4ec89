// Texture settings by platform, and the older settings object that holds what has no property of its own.
using System;
using UnityEngine;

namespace UnityEditor
{
    [Serializable]
    public sealed class TextureImporterPlatformSettings
    {
        public string name { get; set; } = "DefaultTexturePlatform";

        public bool overridden { get; set; }

        public int maxTextureSize { get; set; } = 2048;

        public TextureImporterFormat format { get; set; } = TextureImporterFormat.Automatic;

        public TextureImporterCompression textureCompression { get; set; } = TextureImporterCompression.Compressed;

        public int compressionQuality { get; set; } = 50;

        public bool crunchedCompression { get; set; }
    }

    [Serializable]
    public sealed class TextureImporterSettings
    {
        public TextureImporterType textureType { get; set; }

        public int spriteMode { get; set; }

        public SpriteMeshType spriteMeshType { get; set; } = SpriteMeshType.Tight;

        public uint spriteExtrude { get; set; } = 1;

        public int spriteAlignment { get; set; }

        public Vector4 spriteBorder { get; set; }

        public float spritePixelsPerUnit { get; set; } = 100;

        public bool spriteGenerateFallbackPhysicsShape { get; set; } = true;
    }

    public sealed partial class TextureImporter
    {
        private const string Platforms = "platform.";

        public TextureImporterPlatformSettings GetPlatformTextureSettings(string platform)
        {
            string at = Platforms + platform + ".";
            if (platform == "DefaultTexturePlatform")
            {
                return GetDefaultPlatformTextureSettings();
            }
            return new TextureImporterPlatformSettings
            {
                name = platform,
                overridden = Flag(at + "overridden", false),
                maxTextureSize = Number(at + "maxTextureSize", maxTextureSize),
                format = (TextureImporterFormat)Number(at + "format", -1),
                textureCompression =
                    (TextureImporterCompression)Number(at + "textureCompression", (int)textureCompression),
                compressionQuality = Number(at + "compressionQuality", compressionQuality),
                crunchedCompression = Flag(at + "crunchedCompression", crunchedCompression),
            };
        }

        public TextureImporterPlatformSettings GetDefaultPlatformTextureSettings()
        {
            return new TextureImporterPlatformSettings
            {
                maxTextureSize = maxTextureSize,
                format = (TextureImporterFormat)Number("format", -1),
                textureCompression = textureCompression,
                compressionQuality = compressionQuality,
                crunchedCompression = crunchedCompression,
            };
        }

        public void SetPlatformTextureSettings(TextureImporterPlatformSettings platformSettings)
        {
            if (platformSettings.name == "DefaultTexturePlatform")
            {
                maxTextureSize = platformSettings.maxTextureSize;
                Put("format", (int)platformSettings.format);
                textureCompression = platformSettings.textureCompression;
                compressionQuality = platformSettings.compressionQuality;
                crunchedCompression = platformSettings.crunchedCompression;
                return;
            }
            string at = Platforms + platformSettings.name + ".";
            Put(at + "overridden", platformSettings.overridden);
            Put(at + "maxTextureSize", platformSettings.maxTextureSize);
            Put(at + "format", (int)platformSettings.format);
            Put(at + "textureCompression", (int)platformSettings.textureCompression);
            Put(at + "compressionQuality", platformSettings.compressionQuality);
            Put(at + "crunchedCompression", platformSettings.crunchedCompression);
        }

        public void ClearPlatformTextureSettings(string platform)
        {
            Erase(Platforms + platform + ".");
        }

        public void ReadTextureSettings(TextureImporterSettings dest)
        {
            dest.textureType = textureType;
            dest.spriteMode = (int)spriteImportMode;
            dest.spriteMeshType = (SpriteMeshType)Number("spriteMeshType", 1);
            dest.spriteExtrude = (uint)Number("spriteExtrude", 1);
            dest.spriteAlignment = Number("alignment", 0);
            dest.spriteBorder = spriteBorder;
            dest.spritePixelsPerUnit = spritePixelsPerUnit;
            dest.spriteGenerateFallbackPhysicsShape = Flag("spriteGenerateFallbackPhysicsShape", true);
        }

        public void SetTextureSettings(TextureImporterSettings src)
        {
            textureType = src.textureType;
            spriteImportMode = (SpriteImportMode)src.spriteMode;
            Put("spriteMeshType", (int)src.spriteMeshType);
            Put("spriteExtrude", (int)src.spriteExtrude);
            Put("alignment", src.spriteAlignment);
            spriteBorder = src.spriteBorder;
            spritePixelsPerUnit = src.spritePixelsPerUnit;
            Put("spriteGenerateFallbackPhysicsShape", src.spriteGenerateFallbackPhysicsShape);
        }
    }
}

namespace UnityEngine
{
    public enum SpriteMeshType
    {
        FullRect = 0,
        Tight = 1,
    }
}
