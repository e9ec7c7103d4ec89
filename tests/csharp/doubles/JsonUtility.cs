// JsonUtility with Unity's rules: fields of serializable types, unknown ones passed over, no dictionaries, no nulls.
//
// What is known of the real one: nested classes and lists are never null after reading where the JSON names them,
// a null string is written as "", enums are numbers, private fields count with [SerializeField], nesting ends after
// ten levels.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Reflection;
using System.Runtime.Serialization;
using System.Text;

namespace UnityEngine
{
    public static class JsonUtility
    {
        public static string ToJson(object obj)
        {
            return ToJson(obj, false);
        }

        public static string ToJson(object obj, bool prettyPrint)
        {
            if (obj == null)
            {
                return "";
            }
            var text = new StringBuilder();
            FakeSerialized.Write(text, obj, obj.GetType(), prettyPrint, 0);
            return text.ToString();
        }

        public static T FromJson<T>(string json)
        {
            return (T)FromJson(json, typeof(T));
        }

        public static object FromJson(string json, Type type)
        {
            if (string.IsNullOrEmpty(json))
            {
                return null;
            }
            if (typeof(Object).IsAssignableFrom(type))
            {
                throw new ArgumentException("Cannot deserialize JSON to new instances of type '" + type.Name + ".'");
            }
            object made = FakeSerialized.New(type);
            FakeSerialized.Read(made, Parsed(json), 0);
            return made;
        }

        public static void FromJsonOverwrite(string json, object objectToOverwrite)
        {
            if (!string.IsNullOrEmpty(json))
            {
                FakeSerialized.Read(objectToOverwrite, Parsed(json), 0);
            }
        }

        private static Dictionary<string, object> Parsed(string json)
        {
            var read = new FakeJson(json).Document() as Dictionary<string, object>;
            if (read == null)
            {
                throw new ArgumentException("JSON must represent an object type.");
            }
            return read;
        }
    }

    /// <summary>Fields as Unity's serializer sees them.</summary>
    internal static class FakeSerialized
    {
        private const int DepthMax = 10;
        private static readonly Dictionary<Type, List<FieldInfo>> Known = new Dictionary<Type, List<FieldInfo>>();

        internal static object New(Type type)
        {
            const BindingFlags Any = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
            bool constructible = type.IsValueType || type.GetConstructor(Any, null, Type.EmptyTypes, null) != null;
            return constructible
                ? Activator.CreateInstance(type, true)
                : FormatterServices.GetUninitializedObject(type);
        }

        /// <summary>Looked up once a type: the real one is native code, and frames that read JSON are timed.</summary>
        internal static List<FieldInfo> Fields(Type type)
        {
            List<FieldInfo> fields;
            lock (Known)
            {
                if (!Known.TryGetValue(type, out fields))
                {
                    Known[type] = fields = Find(type);
                }
            }
            return fields;
        }

        private static List<FieldInfo> Find(Type type)
        {
            var fields = new List<FieldInfo>();
            if (type.BaseType != null && type.BaseType != typeof(object) && type.BaseType != typeof(ValueType))
            {
                fields.AddRange(Fields(type.BaseType));
            }
            foreach (FieldInfo field in type.GetFields(
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                bool asked = field.IsPublic || field.IsDefined(typeof(SerializeField), false);
                if (asked && !field.IsInitOnly && !field.IsNotSerialized && IsKnown(field.FieldType, true))
                {
                    fields.Add(field);
                }
            }
            return fields;
        }

        internal static void Write(StringBuilder text, object value, Type type, bool pretty, int depth)
        {
            Type element = ElementOf(type);
            if (type == typeof(string))
            {
                FakeJson.Quote(text, (string)value ?? "");
            }
            else if (type.IsEnum)
            {
                long number = Convert.ToInt64(value, CultureInfo.InvariantCulture);
                text.Append(number.ToString(CultureInfo.InvariantCulture));
            }
            else if (type == typeof(bool))
            {
                text.Append((bool)value ? "true" : "false");
            }
            else if (type == typeof(float) || type == typeof(double))
            {
                text.Append(((IFormattable)value).ToString("R", CultureInfo.InvariantCulture));
            }
            else if (type.IsPrimitive)
            {
                text.Append(type == typeof(char)
                    ? ((int)(char)value).ToString(CultureInfo.InvariantCulture)
                    : ((IFormattable)value).ToString(null, CultureInfo.InvariantCulture));
            }
            else if (element != null)
            {
                WriteList(text, (IEnumerable)value ?? new object[0], element, pretty, depth);
            }
            else
            {
                WriteObject(text, value ?? New(type), type, pretty, depth);
            }
        }

        private static void WriteList(StringBuilder text, IEnumerable values, Type element, bool pretty, int depth)
        {
            string gap = "";
            text.Append('[');
            foreach (object value in values)
            {
                text.Append(gap);
                Line(text, pretty, depth + 1);
                Write(text, value, element, pretty, depth + 1);
                gap = ",";
            }
            if (gap != "")
            {
                Line(text, pretty, depth);
            }
            text.Append(']');
        }

        private static void WriteObject(StringBuilder text, object value, Type type, bool pretty, int depth)
        {
            string gap = "";
            text.Append('{');
            if (depth < DepthMax)
            {
                foreach (FieldInfo field in Fields(type))
                {
                    text.Append(gap);
                    Line(text, pretty, depth + 1);
                    FakeJson.Quote(text, field.Name);
                    text.Append(pretty ? ": " : ":");
                    Write(text, field.GetValue(value), field.FieldType, pretty, depth + 1);
                    gap = ",";
                }
            }
            if (gap != "")
            {
                Line(text, pretty, depth);
            }
            text.Append('}');
        }

        internal static void Read(object target, Dictionary<string, object> json, int depth)
        {
            if (depth >= DepthMax)
            {
                return;
            }
            foreach (FieldInfo field in Fields(target.GetType()))
            {
                object value;
                if (json.TryGetValue(field.Name, out value))
                {
                    field.SetValue(target, Value(value, field.FieldType, field.GetValue(target), depth + 1));
                }
                else if (IsNested(field.FieldType) && field.GetValue(target) == null)
                {
                    field.SetValue(target, New(field.FieldType));
                }
            }
        }

        /// <summary>The value as the type has it; what does not fit leaves `now`.</summary>
        private static object Value(object json, Type type, object now, int depth)
        {
            Type element = ElementOf(type);
            var number = json as string;
            if (type == typeof(string))
            {
                var words = json as FakeJson.Words;
                return words == null ? json == null ? "" : number ?? now : words.Text;
            }
            if (type == typeof(bool))
            {
                return json is bool ? json : now;
            }
            if (type.IsEnum)
            {
                return number == null ? now : Enum.ToObject(type, Number(number, typeof(long)));
            }
            if (type.IsPrimitive)
            {
                return number == null ? now : Number(number, type);
            }
            if (element != null)
            {
                return List(json as List<object>, type, element, depth);
            }
            var read = json as Dictionary<string, object>;
            object target = now ?? New(type);
            if (read != null)
            {
                Read(target, read, depth);
            }
            return target;
        }

        private static object List(List<object> values, Type type, Type element, int depth)
        {
            int count = values == null ? 0 : values.Count;
            Array array = Array.CreateInstance(element, count);
            for (int at = 0; at < count; at++)
            {
                object fresh = element == typeof(string) ? "" : New(element);
                array.SetValue(Value(values[at], element, fresh, depth), at);
            }
            return type.IsArray ? array : Activator.CreateInstance(type, array);
        }

        private static object Number(string digits, Type type)
        {
            double approximate;
            decimal exact;
            if (type == typeof(float) || type == typeof(double))
            {
                double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out approximate);
                return Convert.ChangeType(approximate, type, CultureInfo.InvariantCulture);
            }
            decimal.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out exact);
            exact = decimal.Truncate(exact);
            try
            {
                return type == typeof(char)
                    ? (char)(int)exact
                    : Convert.ChangeType(exact, type, CultureInfo.InvariantCulture);
            }
            catch (OverflowException)
            {
                return Activator.CreateInstance(type);
            }
        }

        private static void Line(StringBuilder text, bool pretty, int depth)
        {
            if (pretty)
            {
                text.Append('\n').Append(' ', depth * 4);
            }
        }

        private static bool IsNested(Type type)
        {
            return type.IsClass && type != typeof(string) && ElementOf(type) == null;
        }

        private static bool IsKnown(Type type, bool mayBeList)
        {
            Type element = ElementOf(type);
            if (element != null)
            {
                return mayBeList && IsKnown(element, false);
            }
            bool plain = type == typeof(string) || type.IsEnum || (type.IsPrimitive && type != typeof(IntPtr));
            bool generic = type.IsGenericType && type.Namespace == "System.Collections.Generic";
            return plain || (type.IsSerializable && !type.IsInterface && !type.IsAbstract && !generic &&
                type.Namespace != "System" && !typeof(Delegate).IsAssignableFrom(type));
        }

        private static Type ElementOf(Type type)
        {
            if (type.IsArray && type.GetArrayRank() == 1)
            {
                return type.GetElementType();
            }
            bool list = type.IsGenericType && type.GetGenericTypeDefinition() == typeof(List<>);
            return list ? type.GetGenericArguments()[0] : null;
        }
    }
}
