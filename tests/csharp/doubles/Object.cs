// Object and ScriptableObject: what Unity destroys, and how scripts see that.
using System;

namespace UnityEngine
{
    [Flags]
    public enum HideFlags
    {
        None = 0,
        HideInHierarchy = 1,
        HideInInspector = 2,
        DontSaveInEditor = 4,
        NotEditable = 8,
        DontSaveInBuild = 16,
        DontUnloadUnusedAsset = 32,
        DontSave = DontSaveInEditor | DontSaveInBuild | DontUnloadUnusedAsset,
        HideAndDontSave = HideInHierarchy | DontSaveInEditor | NotEditable | DontSaveInBuild | DontUnloadUnusedAsset,
    }

    public class Object
    {
        private bool destroyed;

        public string name { get; set; } = "";

        public HideFlags hideFlags { get; set; }

        public static void DestroyImmediate(Object obj, bool allowDestroyingAssets)
        {
            UnityEditor.FakeEditor.MainThreadOnly("DestroyImmediate");
            if (obj == null)
            {
                return;
            }
            if (!allowDestroyingAssets && UnityEditor.FakeAssets.PathOf(obj) != "")
            {
                Debug.LogError("Destroying assets is not permitted to avoid data loss.");
                return;
            }
            obj.destroyed = true;
            obj.OnFakeDestroy();
        }

        public static void DestroyImmediate(Object obj)
        {
            DestroyImmediate(obj, false);
        }

        /// <summary>Something that was destroyed equals null, although it is not.</summary>
        public static bool operator ==(Object one, Object other)
        {
            bool oneIsNone = ReferenceEquals(one, null) || one.destroyed;
            bool otherIsNone = ReferenceEquals(other, null) || other.destroyed;
            return oneIsNone || otherIsNone ? oneIsNone && otherIsNone : ReferenceEquals(one, other);
        }

        public static bool operator !=(Object one, Object other)
        {
            return !(one == other);
        }

        public static implicit operator bool(Object exists)
        {
            return exists != null;
        }

        public override bool Equals(object other)
        {
            return ReferenceEquals(this, other) || (other == null && destroyed);
        }

        public override int GetHashCode()
        {
            return System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);
        }

        public override string ToString()
        {
            return name + " (" + GetType().FullName + ")";
        }

        internal bool Destroyed
        {
            get { return destroyed; }
        }

        internal virtual void OnFakeDestroy()
        {
        }
    }

    public class ScriptableObject : Object
    {
        public static ScriptableObject CreateInstance(Type type)
        {
            UnityEditor.FakeEditor.MainThreadOnly("CreateInstance");
            var made = (ScriptableObject)Activator.CreateInstance(type, true);
            FakeMessages.Send(made, "Awake");
            FakeMessages.Send(made, "OnEnable");
            return made;
        }

        public static T CreateInstance<T>() where T : ScriptableObject
        {
            return (T)CreateInstance(typeof(T));
        }

        internal override void OnFakeDestroy()
        {
            FakeMessages.Send(this, "OnDisable");
            FakeMessages.Send(this, "OnDestroy");
        }
    }

    /// <summary>Methods that Unity finds by name.</summary>
    internal static class FakeMessages
    {
        private const System.Reflection.BindingFlags Any = System.Reflection.BindingFlags.Instance |
            System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic;

        internal static void Send(object target, string message)
        {
            System.Reflection.MethodInfo method = null;
            for (Type type = target.GetType(); type != null && method == null; type = type.BaseType)
            {
                method = type.GetMethod(message, Any, null, Type.EmptyTypes, null);
            }
            if (method != null)
            {
                method.Invoke(target, null);
            }
        }
    }

    public class UnityException : SystemException
    {
        public UnityException() : base("A Unity Runtime error occurred!")
        {
        }

        public UnityException(string message) : base(message)
        {
        }
    }

    public class TextAsset : Object
    {
        public TextAsset() : this("")
        {
        }

        public TextAsset(string text)
        {
            bytes = new System.Text.UTF8Encoding(false).GetBytes(text);
        }

        internal TextAsset(byte[] bytes)
        {
            this.bytes = bytes;
        }

        public byte[] bytes { get; }

        public string text
        {
            get { return System.Text.Encoding.UTF8.GetString(bytes); }
        }
    }
}
