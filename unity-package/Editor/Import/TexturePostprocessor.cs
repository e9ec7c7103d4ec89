// What happens to a texture of ours while Unity imports it, whoever wrote the file.
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Gives a new texture its import profile, and every texture of ours its key in userData. A texture that Unity has
    /// imported before keeps its settings: they are the team's by then.
    /// </summary>
    internal sealed class TexturePostprocessor : AssetPostprocessor
    {
        /// <summary>Raised when the same file would be imported differently; that imports every texture of the project anew.</summary>
        public override uint GetVersion()
        {
            return 1;
        }

        // Unity finds it by its name.
        private void OnPreprocessTexture()
        {
            if (!assetPath.EndsWith(".png", System.StringComparison.OrdinalIgnoreCase))
            {
                return;
            }
            PngProvenance said = PngProvenance.Read(assetPath);
            if (said == null)
            {
                return;
            }
            var importer = (TextureImporter)assetImporter;
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
