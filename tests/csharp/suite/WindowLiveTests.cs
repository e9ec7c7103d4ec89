// The window with nothing behind it but the real thing: from an empty project to an accepted picture, by its buttons.
using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Tests
{
    internal sealed class WindowScripts : Scripts
    {
        private ThumbforgeWindow window;

        private VisualElement Root
        {
            get { return window.rootVisualElement; }
        }

        public void Open()
        {
            Assert.That(FakeMenus.Choose("Window/Thumbforge"));
            window = EditorWindow.GetWindow<ThumbforgeWindow>();
        }

        public void Close()
        {
            window.Close();
        }

        /// <summary>Presses a button as soon as it can be pressed.</summary>
        public void Press(string button)
        {
            Look("the button " + button, () => Root.Q<Button>(button).Press());
        }

        public void PressKey(KeyCode key)
        {
            Root.Q<ListView>("queue").SendEvent(KeyDownEvent.GetPooled('\0', key, EventModifiers.None));
        }

        public void Select(int index)
        {
            Root.Q<ListView>("queue").SetSelection(index);
        }

        public string[] Lines()
        {
            var list = Root.Q<ListView>("queue");
            return list.Lines.Values.Select(line => line.Q<Label>("asset").text + " " + line.Q<Label>("locale").text + " "
                + line.Q<Label>("state").text).ToArray();
        }

        public bool Sees(string element)
        {
            return Root.Q<VisualElement>(element).Shown;
        }

        /// <summary>A label of the details.</summary>
        public string Text(string label)
        {
            return Root.Q<VisualElement>("details").Q<Label>(label).text;
        }

        /// <summary>Frames until every line says this and every thumbnail is there.</summary>
        public void WaitForLines(string state, int count)
        {
            Look(count + " lines that say " + state, () =>
            {
                ICollection<VisualElement> lines = Root.Q<ListView>("queue").Lines.Values;
                return lines.Count == count && lines.All(line => line.Q<Label>("state").text == state
                    && line.Q<Image>("thumb").image != null);
            });
        }

        public void WaitForText(string label, string start)
        {
            Look(label + " " + start, () => Text(label).StartsWith(start));
        }

        public int LargeSide()
        {
            Look("the large preview", () => Root.Q<Image>("final").image != null);
            return Root.Q<Image>("final").image.width;
        }

        public int LiveTextures()
        {
            return FakeTextures.Live;
        }

        private void Look(string what, System.Func<bool> condition)
        {
            Until(what, () =>
            {
                window.Tick();
                return condition();
            });
            Assert.That(Root.Q<VisualElement>("strip").Shown, Is.False, Root.Q<Label>("strip-text").text);
        }
    }

    [TestFixture]
    internal sealed class WindowLiveTests
    {
        [Test]
        public void AnEmptyProjectHasAnAcceptedPictureAfterFourActions()
        {
            using (var editor = new EditorProcess())
            {
                WindowScripts scripts = editor.Load<WindowScripts>();
                scripts.Open();
                Assert.That(scripts.Sees("welcome"));
                scripts.Press("make-starter");
                scripts.Press("regenerate-all");
                scripts.WaitForLines("Done", 4);
                Assert.That(scripts.Lines(), Is.EqualTo(new[]
                {
                    "potion de Done", "potion en Done", "sword de Done", "sword en Done",
                }));
                Assert.That(File.Exists(Path.Combine(editor.Project, "Assets/Thumbnails/sword/sword.de.png.meta")));
                scripts.Select(2);
                Assert.That(scripts.LargeSide(), Is.EqualTo(512));
                scripts.PressKey(KeyCode.Return);
                scripts.WaitForText("approval", "Accepted by ");
                string approvals = File.ReadAllText(Path.Combine(editor.Project, "thumbforge.approvals"));
                Assert.That(approvals, Is.StringContaining("sword\tde\t"));
                scripts.Close();
                Assert.That(scripts.LiveTextures(), Is.EqualTo(0));
            }
        }

        [Test]
        public void ADraftIsDrawnBesideTheFinalAndTakesItsPlaceWhenAccepted()
        {
            using (var editor = new EditorProcess())
            {
                WindowScripts scripts = editor.Load<WindowScripts>();
                scripts.Open();
                scripts.Press("make-starter");
                scripts.Press("regenerate-all");
                scripts.WaitForLines("Done", 4);
                string final = Path.Combine(editor.Project, "Assets/Thumbnails/sword/sword.en.png");
                byte[] before = File.ReadAllBytes(final);
                scripts.Select(3);
                scripts.Press("reroll");
                scripts.WaitForText("state", "Draft");
                Assert.That(File.ReadAllBytes(final), Is.EqualTo(before), "a draft changes nothing in the project");
                scripts.Press("accept");
                scripts.WaitForText("approval", "Accepted by ");
                Assert.That(File.ReadAllBytes(final), Is.Not.EqualTo(before));
                scripts.Close();
                Assert.That(scripts.LiveTextures(), Is.EqualTo(0));
            }
        }
    }
}
