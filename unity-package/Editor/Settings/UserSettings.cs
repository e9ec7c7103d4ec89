// What one person decides on one machine; never in the project.
using System;
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Settings of this user, in the editor's preferences. Set values are empty until somebody sets them.
    /// </summary>
    internal static class UserSettings
    {
        internal const string DefaultRole = "reviewer";
        private const string PersonKey = "Thumbforge.Person";
        private const string RoleKey = "Thumbforge.Role";
        private const string ProgramKey = "Thumbforge.Program";
        private const string DataKey = "Thumbforge.DataDirectory";

        /// <summary>Who accepts and rejects; the name at this machine's login unless another was set.</summary>
        internal static string Person
        {
            get { return Get(PersonKey, Environment.UserName); }
            set { Set(PersonKey, value); }
        }

        /// <summary>In what role; one decision is kept per role.</summary>
        internal static string Role
        {
            get { return Get(RoleKey, DefaultRole); }
            set { Set(RoleKey, value); }
        }

        /// <summary>A thumbforge program in place of the package's own; empty for that.</summary>
        internal static string ProgramPath
        {
            get { return Get(ProgramKey, string.Empty); }
            set { Set(ProgramKey, value); }
        }

        /// <summary>A data directory in place of the user's; empty for that.</summary>
        internal static string DataDirectory
        {
            get { return Get(DataKey, string.Empty); }
            set { Set(DataKey, value); }
        }

        private static string Get(string key, string fallback)
        {
            string value = EditorPrefs.GetString(key, string.Empty);
            return value.Length > 0 ? value : fallback;
        }

        private static void Set(string key, string value)
        {
            string plain = (value ?? string.Empty).Trim();
            if (plain.Length == 0)
            {
                EditorPrefs.DeleteKey(key);
            }
            else
            {
                EditorPrefs.SetString(key, plain);
            }
        }
    }
}
