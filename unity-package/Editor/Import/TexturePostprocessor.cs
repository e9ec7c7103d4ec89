// What happens to a texture of ours while Unity imports it, whoever wrote the file.
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Gives a new texture its import profile, and every texture of ours its key in userData. A texture that Unity has
    /// imported before keeps its settings: they are the team's by then.
    /// </summary>
    /// <remarks>
    /// It listens to OnPreprocessAsset and has no version of its own. Whatever has OnPreprocessTexture, or a version, is
    /// part of what every texture depends on, and to install the package would import all textures of a project anew.
    /// </remarks>
    internal sealed class TexturePostprocessor : AssetPostprocessor
    {
        // Unity finds it by its name.
        private void OnPreprocessAsset()
        {
            var importer = assetImporter as TextureImporter;
            if (importer == null || !assetPath.EndsWith(".png", System.StringComparison.OrdinalIgnoreCase))
            {
                return;
            }
            PngProvenance said = PngProvenance.Read(assetPath);
            if (said == null)
            {
                return;
            }
            if (importer.importSettingsMissing)
            {
                ImportProfile profile = ImportProfiles.Of(assetPath);
                if (profile != null)
                {
                    ImportProfiles.Apply(profile, importer);
                }
            }
            string userData = UserData.With(importer.userData, said.realised_key);
            if (userData != importer.userData)
            {
                importer.userData = userData;
            }
        }
    }
}
