// Types of all scripts, which Unity searches by reflection.
using System;
using System.Collections.Generic;
using System.Reflection;

namespace UnityEditor
{
    internal static class FakeTypes
    {
        /// <summary>Every type of assemblies that know the doubles, in a fixed order.</summary>
        internal static List<Type> All()
        {
            var assemblies = new List<Assembly>();
            string doubles = typeof(FakeTypes).Assembly.GetName().Name;
            foreach (Assembly assembly in AppDomain.CurrentDomain.GetAssemblies())
            {
                foreach (AssemblyName name in assembly.GetReferencedAssemblies())
                {
                    if (name.Name == doubles)
                    {
                        assemblies.Add(assembly);
                    }
                }
            }
            assemblies.Sort((one, other) => string.CompareOrdinal(one.FullName, other.FullName));
            var types = new List<Type>();
            foreach (Assembly assembly in assemblies)
            {
                types.AddRange(assembly.GetTypes());
            }
            return types;
        }
    }
}
