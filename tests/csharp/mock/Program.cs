// Draws the window's pictures: the package's own C#, UXML and USS over doubles of Unity, as pages for a browser.
//
//   WindowMock.exe FINALS DRAFTS THEME.css OUT
using System.IO;
using UnityEditor;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    internal static class Program
    {
        private static string theme, folder;

        private static int Main(string[] arguments)
        {
            string finals = Path.GetFullPath(arguments[0]), drafts = Path.GetFullPath(arguments[1]);
            theme = File.ReadAllText(arguments[2]);
            folder = Path.GetFullPath(arguments[3]);
            FakeEditor.Start(Path.Combine(folder, "project"));
            Window("window", "dark", 1200, Scenes.WorkingDay(finals, drafts), "dragon_siege", "de");
            Window("window-light", "light", 1200, Scenes.WorkingDay(finals, drafts), "dragon_siege", "ja");
            Window("window-narrow", "dark", 420, Scenes.WorkingDay(finals, drafts), "dragon_siege", "th");
            Window("window-empty", "dark", 1200, new MockBoard { Version = 1, HasManifest = false,
                Link = LinkState.Idle }, null, null);
            MockBoard offline = Scenes.Done(finals);
            offline.Link = LinkState.Down;
            offline.LinkMessage = "The sidecar ended and did not start again. What it had accepted is kept and goes on once it runs; "
                + "press Try again, or run “thumbforge doctor” to see why.";
            Window("window-offline", "dark", 1200, offline, "dragon_siege", "hi");
            Settings("settings", "dark");
            return 0;
        }

        private static void Window(string name, string skin, float width, MockBoard board, string asset, string locale)
        {
            FakeNative.Here.Set("skin", skin);
            var window = ScriptableObject.CreateInstance<ThumbforgeWindow>();
            window.Board = board;
            window.Show();
            VisualElement root = window.rootVisualElement;
            root.SendEvent(GeometryChangedEvent.GetPooled(new Rect(0, 0, 0, 0), new Rect(0, 0, width, 760)));
            VisualElement pane = root.Q<VisualElement>("queue-pane");
            pane.SendEvent(GeometryChangedEvent.GetPooled(new Rect(0, 0, 0, 0), new Rect(0, 0, width > 720
                ? width - 470 : width, 700)));
            var list = root.Q<ListView>("queue");
            list.Fits = 16;
            list.RefreshItems();
            if (asset != null)
            {
                int index = board.List.IndexOf(Scenes.At(board, asset, locale));
                list.Fits = width > 720 ? list.Fits : 4;
                list.SetSelection(index);
                list.ScrollToItem(index);
            }
            if (skin == "light")
            {
                // The reason is asked for in place, as after Delete.
                list.SendEvent(KeyDownEvent.GetPooled('\0', KeyCode.Delete, EventModifiers.None));
                root.Q<TextField>("reason").value = "The subtitle lost a stroke: ゴルド";
            }
            Save(name, skin, root);
            UnityEngine.Object.DestroyImmediate(window);
        }

        private static void Settings(string name, string skin)
        {
            FakeNative.Here.Set("skin", skin);
            File.WriteAllText(Path.Combine(ThumbforgeSettings.ProjectFolder, "thumbforge.toml"), string.Empty);
            ThumbforgeSettings.instance.SetStringTables(new[] { "Shop", "Seasons" });
            ThumbforgeSettings.instance.AssetTable = "ShopThumbnails";
            UserSettings.Person = "Mira Kowalczyk";
            UserSettings.Role = "art";
            UserSettings.ProgramPath = "/opt/thumbforge/bin/thumbforge";
            var root = new VisualElement();
            SettingsPage.Provide().activateHandler(string.Empty, root);
            Save(name, skin, root);
        }

        private static void Save(string name, string skin, VisualElement root)
        {
            File.WriteAllText(Path.Combine(folder, name + ".html"), Page.Of(root, theme, skin));
        }
    }
}
