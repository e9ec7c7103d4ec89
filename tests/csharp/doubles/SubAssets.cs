// What is an asset, what is a part of one, and what is written to disk when.
using System.Collections.Generic;
using UnityEngine;

namespace UnityEditor
{
    public partial class AssetDatabase
    {
        /// <summary>A picture's texture is the asset, and a sprite a part of it.</summary>
        public static bool IsSubAsset(Object obj)
        {
            FakeEditor.MainThreadOnly("IsSubAsset");
            List<Object> objects = FakeAssets.ObjectsOf(FakeAssets.PathOf(obj));
            return objects.Count > 0 && !ReferenceEquals(objects[0], obj);
        }

        public static void SaveAssetIfDirty(Object obj)
        {
            FakeEditor.MainThreadOnly("SaveAssetIfDirty");
            FakeNative.Here.Note("saved", obj.name);
        }
    }

    public partial class EditorUtility
    {
        public static bool IsPersistent(Object target)
        {
            return FakeAssets.PathOf(target) != "";
        }
    }
}
