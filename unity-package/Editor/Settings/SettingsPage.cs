// The page Project Settings > Thumbforge.
using System;
using System.Collections.Generic;
using System.Globalization;
using UnityEditor;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>Fields for the project's and the user's settings, each with what is wrong about it beside it.</summary>
    internal sealed class SettingsPage
    {
        internal const string Path = "Project/Thumbforge";

        private readonly VisualElement page;

        private SettingsPage(VisualElement page)
        {
            this.page = page;
        }

        [SettingsProvider]
        internal static SettingsProvider Provide()
        {
            return new SettingsProvider(Path, SettingsScope.Project, Keywords())
            {
                label = "Thumbforge",
                activateHandler = (search, root) => Build(root),
            };
        }

        private static IEnumerable<string> Keywords()
        {
            return new[]
            {
                "thumbnail", "manifest", "HTTP", "port", "localization", "string table", "asset table", "approval", "person",
                "role", "program", "data directory", "key",
            };
        }

        internal static void Build(VisualElement root)
        {
            UiFiles.Dress(root);
            var scroll = new ScrollView();
            scroll.AddToClassList("tf-settings");
            root.Add(scroll);
            var page = new SettingsPage(scroll);
            page.Add("Thumbforge", "tf-settings__title");
            page.Project();
            page.Localization();
            page.Person();
            page.Machine();
            page.Keys();
        }

        private void Project()
        {
            ThumbforgeSettings settings = ThumbforgeSettings.instance;
            Section("Project", "Kept in ProjectSettings/ThumbforgeSettings.asset. Commit it: everybody builds alike.");
            Text("manifest", "Manifest folder", settings.ManifestFolderAsSet,
                "Folder of thumbforge.toml, relative to the project. Leave it empty to look in the project's folder, then in Assets.",
                Found, value => settings.ManifestFolder = value,
                value => SettingsChecks.Manifest(ThumbforgeSettings.ProjectFolder, value));
            var serve = new Toggle("Serve HTTP") { name = "serve", value = settings.ServeHttp };
            serve.tooltip = "Let the sidecar that this editor starts answer HTTP, for tools beside the editor.";
            TextField port = null;
            serve.RegisterValueChangedCallback(change =>
            {
                settings.ServeHttp = change.newValue;
                port.SetEnabled(change.newValue);
            });
            Label served = Wrap(serve);
            Say(served, string.Empty, "Off, no port is opened. On, only programs of this machine are answered.");
            port = Text("port", "Port", settings.HttpPort.ToString(CultureInfo.InvariantCulture),
                "Port on 127.0.0.1.", () => string.Empty,
                value => settings.HttpPort = int.Parse(value, CultureInfo.InvariantCulture), SettingsChecks.Port);
            port.SetEnabled(settings.ServeHttp);
        }

        private static string Found()
        {
            string folder = ThumbforgeSettings.instance.ManifestFolder;
            return "Found: " + (folder == "." ? string.Empty : folder + "/") + ThumbforgeSettings.ManifestFile;
        }

        private void Localization()
        {
            ThumbforgeSettings settings = ThumbforgeSettings.instance;
            Section("Localization",
                "For projects with the package com.unity.localization. Committed with the project.");
            string names = string.Join("\n", new List<string>(settings.StringTables).ToArray());
            TextField tables = Text("string-tables", "String tables", names,
                "Names of the string table collections to export for the manifest, one on each line.",
                () => "One collection on each line.", value => settings.SetStringTables(value.Split('\n')),
                value => SettingsChecks.Tables(value.Split('\n')), true);
            tables.AddToClassList("tf-setting__lines");
            Text("asset-table", "Asset table", settings.AssetTable,
                "Name of the asset table collection that finished pictures are put into, a locale at a time.",
                () => "Leave it empty to fill no table.", value => settings.AssetTable = value, SettingsChecks.Name);
        }

        private void Person()
        {
            Section("You", "Kept on this machine alone. Decisions in thumbforge.approvals carry this name and role.");
            Text("person", "Name", UserSettings.Person, "Who accepts and rejects.", () => string.Empty,
                value => UserSettings.Person = value, SettingsChecks.Name);
            Text("role", "Role", UserSettings.Role,
                "In what role, such as art or localisation; one decision is kept per role.",
                () => "Art and localisation can decide about the same picture, each once.",
                value => UserSettings.Role = value, SettingsChecks.Name);
        }

        private void Machine()
        {
            Section("This machine", "Kept on this machine alone.");
            Text("program", "Program", UserSettings.ProgramPath, "Whole path of a thumbforge program.",
                () => "Empty: the program that came with the package.",
                value => UserSettings.ProgramPath = value, SettingsChecks.Program);
            Text("data", "Data directory", UserSettings.DataDirectory,
                "Whole path of the directory for journal, store and caches.",
                () => "Empty: the user's data directory, the same as on the command line.",
                value => UserSettings.DataDirectory = value, SettingsChecks.DataDirectory);
        }

        private void Keys()
        {
            Section("Keys of hosted models",
                "Thumbforge keeps no key in a project or in these settings, so there is no field for one. Accounts are in "
                + "config.toml of the data directory, and say where their keys lie: in the environment of the sidecar, in this "
                + "machine's keychain, or in a file that only you can read. Tools > Thumbforge > Doctor shows them, without the keys.");
        }

        private void Section(string title, string lead)
        {
            Add(title, "tf-settings__section");
            Add(lead, "tf-settings__lead");
        }

        private void Add(string text, string style)
        {
            var label = new Label(text);
            label.AddToClassList(style);
            page.Add(label);
        }

        /// <summary>A field whose value is kept as soon as nothing is wrong with it.</summary>
        private TextField Text(string name, string label, string value, string tooltip, Func<string> hint,
            Action<string> keep, Func<string, string> check, bool lines = false)
        {
            // Delayed: a half-typed path is not yet wrong.
            var field = new TextField(label) { name = name, tooltip = tooltip, multiline = lines, isDelayed = true };
            field.SetValueWithoutNotify(value);
            Label said = Wrap(field);
            Say(said, check(value), hint());
            field.RegisterValueChangedCallback(change =>
            {
                string wrong = check(change.newValue);
                if (wrong.Length == 0)
                {
                    keep(change.newValue);
                }
                Say(said, wrong, hint());
            });
            return field;
        }

        private Label Wrap(VisualElement field)
        {
            var box = new VisualElement();
            box.AddToClassList("tf-setting");
            box.Add(field);
            var said = new Label { name = field.name + "-check" };
            said.AddToClassList("tf-setting__check");
            box.Add(said);
            page.Add(box);
            return said;
        }

        private static void Say(Label said, string wrong, string hint)
        {
            said.text = wrong.Length > 0 ? wrong : hint;
            said.EnableInClassList("tf-setting__check--bad", wrong.Length > 0);
            UiFiles.Show(said, said.text.Length > 0);
        }
    }
}
