// Menu items by path, as a person or ExecuteMenuItem finds them.
using System;
using System.Reflection;

namespace UnityEditor
{
    /// <summary>Finds methods by their menu path.</summary>
    internal static class FakeMenus
    {
        /// <summary>Whether the item can be chosen now.</summary>
        internal static bool CanChoose(string path)
        {
            MethodInfo item = Find(path, false), check = Find(path, true);
            if (item == null || check == null)
            {
                return item != null;
            }
            return (bool)check.Invoke(null, new object[check.GetParameters().Length]);
        }

        /// <summary>Chooses it, if it can be chosen.</summary>
        internal static bool Choose(string path)
        {
            if (!CanChoose(path))
            {
                return false;
            }
            MethodInfo item = Find(path, false);
            try
            {
                item.Invoke(null, new object[item.GetParameters().Length]);
            }
            catch (TargetInvocationException exception)
            {
                System.Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(exception.InnerException).Throw();
            }
            return true;
        }

        private static MethodInfo Find(string path, bool validate)
        {
            foreach (Type type in FakeTypes.All())
            {
                foreach (MethodInfo method in type.GetMethods(
                    BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
                {
                    foreach (MenuItem item in method.GetCustomAttributes(typeof(MenuItem), false))
                    {
                        if (item.menuItem == path && item.validate == validate)
                        {
                            return method;
                        }
                    }
                }
            }
            return null;
        }
    }
}
