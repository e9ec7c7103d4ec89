// UXML and USS files: trees that are really read, and sheets as their text.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Xml;

namespace UnityEngine.UIElements
{
    public class StyleSheet : ScriptableObject
    {
        internal string Text { get; set; } = "";
    }

    public class VisualTreeAsset : ScriptableObject
    {
        internal XmlElement Root { get; set; }

        public void CloneTree(VisualElement target)
        {
            foreach (XmlElement each in Root.ChildNodes)
            {
                target.Add(Made(each));
            }
        }

        /// <summary>
        /// Strict where Unity only warns: a misspelt element or attribute fails the test that meets it.
        /// </summary>
        private static VisualElement Made(XmlElement source)
        {
            string full = source.NamespaceURI + "." + source.LocalName;
            Type type = typeof(VisualTreeAsset).Assembly.GetType(full);
            if (type == null)
            {
                throw new InvalidDataException("UXML names an element that these doubles do not have: " + full);
            }
            var made = (VisualElement)Activator.CreateInstance(type);
            foreach (XmlAttribute attribute in source.Attributes)
            {
                Set(made, attribute.LocalName, attribute.Value);
            }
            foreach (XmlElement child in source.ChildNodes)
            {
                made.Add(Made(child));
            }
            return made;
        }

        private static void Set(VisualElement made, string name, string value)
        {
            switch (name)
            {
                case "name":
                    made.name = value;
                    return;
                case "class":
                    made.BuildClasses(value.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries));
                    return;
                case "tooltip":
                    made.tooltip = value;
                    return;
                case "view-data-key":
                    made.viewDataKey = value;
                    return;
            }
            string property = "";
            foreach (string part in name.Split('-'))
            {
                property += property.Length == 0 ? part : char.ToUpperInvariant(part[0]) + part.Substring(1);
            }
            System.Reflection.PropertyInfo found = made.GetType().GetProperty(property);
            if (found == null || !found.CanWrite)
            {
                throw new InvalidDataException(made.GetType().Name + " has no attribute " + name);
            }
            object converted = found.PropertyType.IsEnum ? Enum.Parse(found.PropertyType, value)
                : Convert.ChangeType(value, found.PropertyType, CultureInfo.InvariantCulture);
            found.SetValue(made, converted, null);
        }
    }

    /// <summary>Loads the files of a package from its folder, as the asset database has them after import.</summary>
    internal static class FakeUiFiles
    {
        private static readonly Dictionary<string, UnityEngine.Object> Loaded = new Dictionary<string,
            UnityEngine.Object>();

        /// <summary>Whether assets of this type are read here rather than imported.</summary>
        internal static bool Reads(Type type)
        {
            return type == typeof(VisualTreeAsset) || type == typeof(StyleSheet);
        }

        /// <summary>
        /// The tree or sheet at a path of the asset database, where the package's folder is its place there.
        /// </summary>
        internal static UnityEngine.Object LoadAsset(string assetPath, Type type)
        {
            const string Ours = "Packages/com.thumbforge.editor/";
            string package = UnityEditor.FakePackages.Folder;
            bool isOurs = package != null && assetPath.StartsWith(Ours, StringComparison.Ordinal);
            return isOurs ? Load(Path.Combine(package, assetPath.Substring(Ours.Length)), type) : null;
        }

        /// <summary>The tree or sheet in a file; null where there is none of that type.</summary>
        internal static UnityEngine.Object Load(string file, Type type)
        {
            UnityEngine.Object known;
            if (Loaded.TryGetValue(file, out known) && known != null)
            {
                return type.IsInstanceOfType(known) ? known : null;
            }
            if (!File.Exists(file))
            {
                return null;
            }
            UnityEngine.Object made = null;
            if (type == typeof(VisualTreeAsset) && file.EndsWith(".uxml"))
            {
                var document = new XmlDocument();
                document.Load(file);
                made = new VisualTreeAsset { Root = document.DocumentElement };
            }
            else if (type == typeof(StyleSheet) && file.EndsWith(".uss"))
            {
                made = new StyleSheet { Text = File.ReadAllText(file) };
            }
            if (made != null)
            {
                made.name = Path.GetFileNameWithoutExtension(file);
                Loaded[file] = made;
            }
            return made;
        }
    }
}
