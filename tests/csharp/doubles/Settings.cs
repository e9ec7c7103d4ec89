// SettingsProvider: a page of the project settings or the preferences. Its visual tree is doubled beside UI Elements.
using System;
using System.Collections.Generic;

namespace UnityEditor
{
    public enum SettingsScope
    {
        User,
        Project,
    }

    [AttributeUsage(AttributeTargets.Method)]
    public class SettingsProviderAttribute : Attribute
    {
    }

    public partial class SettingsProvider
    {
        public SettingsProvider(string path, SettingsScope scopes, IEnumerable<string> keywords = null)
        {
            settingsPath = path;
            scope = scopes;
            this.keywords = keywords ?? new string[0];
            label = path.Substring(path.LastIndexOf('/') + 1);
        }

        public string label { get; set; }

        public string settingsPath { get; }

        public SettingsScope scope { get; }

        public IEnumerable<string> keywords { get; set; }

        public Action<string> guiHandler { get; set; }

        public Action deactivateHandler { get; set; }
    }
}
