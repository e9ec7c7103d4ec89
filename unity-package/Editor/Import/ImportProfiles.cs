// Import profiles of the manifest, as a build leaves them for the importer.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEditor;
using UnityEngine;

// Fields are assigned by JsonUtility.
#pragma warning disable 0649

namespace Thumbforge.Editor
{
    /// <summary>What the importer is set to on one platform.</summary>
    [Serializable]
    internal sealed class PlatformProfile
    {
        public string name;
        public int max_size;
        public string format;
        public string compression;
    }

    /// <summary>What the importer of a new texture is set to; what is 0 or empty stays as the importer has it.</summary>
    [Serializable]
    internal sealed class ImportProfile
    {
        public string texture_type;
        public string sprite_mode;
        public int max_size;
        public bool srgb;
        public bool mipmaps;
        public string compression;
        public float pixels_per_unit;
        public bool alpha_is_transparency;
        public float[] border;
        public PlatformProfile[] platforms;

        /// <summary>Names of the switches that the manifest sets; JsonUtility cannot tell false from absent.</summary>
        public string[] switches;

        /// <summary>Whether the manifest sets a switch, on or off.</summary>
        internal bool Sets(string name)
        {
            return switches != null && Array.IndexOf(switches, name) >= 0;
        }
    }

    /// <summary>
    /// The profile of every texture that a manifest of this project names, from <c>Library/Thumbforge/profiles.json</c>. Builds
    /// write it, whoever started them, so a texture that the command line made is imported like one of the editor.
    /// </summary>
    internal static class ImportProfiles
    {
        [Serializable]
        private sealed class FileJson
        {
            public string path;
            public ImportProfile profile;
        }

        [Serializable]
        private sealed class AllJson
        {
            public FileJson[] files;
        }

        private static Dictionary<string, ImportProfile> known;
        private static DateTime knownSince;

        /// <summary>The profile of a texture, or null where the manifest names none.</summary>
        internal static ImportProfile Of(string assetPath)
        {
            string file = Path.Combine(Installation.LibraryFolder, "profiles.json");
            DateTime written = File.GetLastWriteTimeUtc(file);
            if (known == null || written != knownSince)
            {
                known = Read(file);
                knownSince = written;
            }
            ImportProfile profile;
            return known.TryGetValue(assetPath, out profile) ? profile : null;
        }

        private static Dictionary<string, ImportProfile> Read(string file)
        {
            var profiles = new Dictionary<string, ImportProfile>(StringComparer.Ordinal);
            if (!File.Exists(file))
            {
                return profiles;
            }
            try
            {
                AllJson all = JsonUtility.FromJson<AllJson>(File.ReadAllText(file));
                foreach (FileJson one in all.files ?? new FileJson[0])
                {
                    profiles[one.path] = one.profile;
                }
            }
            catch (Exception damaged) when (damaged is ArgumentException || damaged is IOException)
            {
                Debug.LogWarning("Thumbforge: the import profiles in " + file + " cannot be read (" + damaged.Message
                    + "); delete the file and regenerate, or new textures are imported with Unity's own settings");
            }
            return profiles;
        }

        /// <summary>Sets the importer of a new texture.</summary>
        internal static void Apply(ImportProfile profile, TextureImporter importer)
        {
            SetType(profile, importer);
            SetFlags(profile, importer);
            importer.maxTextureSize = profile.max_size > 0 ? profile.max_size : importer.maxTextureSize;
            if (!string.IsNullOrEmpty(profile.compression))
            {
                importer.textureCompression = Compression(profile.compression);
            }
            foreach (PlatformProfile platform in profile.platforms ?? new PlatformProfile[0])
            {
                Override(importer, platform);
            }
        }

        private static void SetType(ImportProfile profile, TextureImporter importer)
        {
            switch (profile.texture_type)
            {
                case "sprite":
                    importer.textureType = TextureImporterType.Sprite;
                    // Unity 6 makes a new sprite "Multiple", which has no sprite in it until somebody cuts one.
                    importer.spriteImportMode = SpriteImportMode.Single;
                    break;
                case "gui":
                    importer.textureType = TextureImporterType.GUI;
                    break;
                case "default":
                    importer.textureType = TextureImporterType.Default;
                    break;
            }
            switch (profile.sprite_mode)
            {
                case "multiple":
                    importer.spriteImportMode = SpriteImportMode.Multiple;
                    break;
                case "polygon":
                    importer.spriteImportMode = SpriteImportMode.Polygon;
                    break;
            }
            if (profile.pixels_per_unit > 0)
            {
                importer.spritePixelsPerUnit = profile.pixels_per_unit;
            }
            if (profile.border != null && profile.border.Length == 4)
            {
                importer.spriteBorder = new Vector4(profile.border[0], profile.border[1], profile.border[2], profile.border[3]);
            }
        }

        private static void SetFlags(ImportProfile profile, TextureImporter importer)
        {
            if (profile.Sets("srgb"))
            {
                importer.sRGBTexture = profile.srgb;
            }
            if (profile.Sets("mipmaps"))
            {
                importer.mipmapEnabled = profile.mipmaps;
            }
            if (profile.Sets("alpha_is_transparency"))
            {
                importer.alphaIsTransparency = profile.alpha_is_transparency;
            }
        }

        private static void Override(TextureImporter importer, PlatformProfile platform)
        {
            TextureImporterPlatformSettings settings = importer.GetPlatformTextureSettings(platform.name);
            settings.overridden = true;
            settings.maxTextureSize = platform.max_size > 0 ? platform.max_size : importer.maxTextureSize;
            if (!string.IsNullOrEmpty(platform.compression))
            {
                settings.textureCompression = Compression(platform.compression);
            }
            if (!string.IsNullOrEmpty(platform.format))
            {
                TextureImporterFormat format;
                if (Enum.TryParse(platform.format, true, out format))
                {
                    settings.format = format;
                }
                else
                {
                    Debug.LogWarning("Thumbforge: " + importer.assetPath + ": this Unity knows no texture format \""
                        + platform.format + "\" for " + platform.name + "; it is left automatic");
                }
            }
            importer.SetPlatformTextureSettings(settings);
        }

        private static TextureImporterCompression Compression(string word)
        {
            switch (word)
            {
                case "none":
                    return TextureImporterCompression.Uncompressed;
                case "low":
                    return TextureImporterCompression.CompressedLQ;
                case "high":
                    return TextureImporterCompression.CompressedHQ;
                default:
                    return TextureImporterCompression.Compressed;
            }
        }
    }
}
