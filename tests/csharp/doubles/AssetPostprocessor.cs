// AssetPostprocessor: what scripts do before and after an import, found by name.
using System;
using System.Collections.Generic;
using System.Reflection;
using UnityEngine;

namespace UnityEditor
{
    public partial class AssetPostprocessor
    {
        public string assetPath { get; set; }

        public AssetImporter assetImporter { get; internal set; }

        public virtual int GetPostprocessOrder()
        {
            return 0;
        }

        public virtual uint GetVersion()
        {
            return 0;
        }
    }

    /// <summary>Calls every postprocessor, in order.</summary>
    internal static class FakePostprocessors
    {
        private const BindingFlags Own =
            BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

        internal static void Before(AssetImporter importer)
        {
            foreach (AssetPostprocessor processor in Instances())
            {
                processor.assetPath = importer.assetPath;
                processor.assetImporter = importer;
                Call(processor, processor.GetType(), "OnPreprocessAsset");
                if (importer is TextureImporter)
                {
                    Call(processor, processor.GetType(), "OnPreprocessTexture");
                }
            }
        }

        internal static void After(string[] imported, string[] deleted)
        {
            FakeNative.Here.Note("round", imported.Length + " imported, " + deleted.Length + " deleted");
            var none = new string[0];
            foreach (AssetPostprocessor processor in Instances())
            {
                Type type = processor.GetType();
                MethodInfo method = type.GetMethod("OnPostprocessAllAssets", Own | BindingFlags.DeclaredOnly);
                if (method != null && method.IsStatic)
                {
                    object[] arguments = { imported, deleted, none, none, false };
                    Array.Resize(ref arguments, method.GetParameters().Length);
                    Invoke(null, method, arguments);
                }
            }
        }

        private static List<AssetPostprocessor> Instances()
        {
            var all = new List<AssetPostprocessor>();
            foreach (Type type in FakeTypes.All())
            {
                if (typeof(AssetPostprocessor).IsAssignableFrom(type) && !type.IsAbstract)
                {
                    all.Add((AssetPostprocessor)Activator.CreateInstance(type, true));
                }
            }
            // A stable sort: List.Sort is none.
            for (int at = 1; at < all.Count; at++)
            {
                for (int to = at; to > 0 && all[to - 1].GetPostprocessOrder() > all[to].GetPostprocessOrder(); to--)
                {
                    AssetPostprocessor later = all[to - 1];
                    all[to - 1] = all[to];
                    all[to] = later;
                }
            }
            return all;
        }

        private static void Call(AssetPostprocessor processor, Type type, string message)
        {
            MethodInfo method = type.GetMethod(message, Own, null, Type.EmptyTypes, null);
            if (method != null)
            {
                Invoke(processor, method, new object[0]);
            }
        }

        private static void Invoke(object target, MethodInfo method, object[] arguments)
        {
            try
            {
                method.Invoke(target, arguments);
            }
            catch (TargetInvocationException exception)
            {
                // Unity says so and goes on with the import.
                Debug.LogException(exception.InnerException);
            }
        }
    }
}
