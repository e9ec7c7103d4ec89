// Ties the Localization package to builds: words of string tables go in, pictures come out to asset tables.
using UnityEditor;

namespace Thumbforge.Editor.Localization
{
    /// <summary>
    /// Puts this assembly's two steps into <see cref="BuildHooks"/>. The assembly is compiled only where the package
    /// com.unity.localization is installed, so the rest of Thumbforge knows nothing of it.
    /// </summary>
    [InitializeOnLoad]
    internal static class LocalizationHooks
    {
        static LocalizationHooks()
        {
            // Workers that import assets for the editor load all scripts too, and build nothing.
            if (AssetDatabase.IsAssetImportWorkerProcess())
            {
                return;
            }
            BuildHooks.BeforeBuild.Add(StringTableExport.Run);
            BuildHooks.AfterImport.Add(AssetTableFill.Run);
        }
    }
}
