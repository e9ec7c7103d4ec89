// What decided a picture's pixels and what drew them, as a table.
using UnityEditor;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>The table of a row's provenance; its lines are made once and filled again and again.</summary>
    internal sealed class Provenance
    {
        private readonly Label model, engine, template, tier, seed, time, cost, key;
        private readonly Button copy;
        private string keyShown = string.Empty;

        internal Provenance(VisualElement root)
        {
            VisualElement facts = root.Q<VisualElement>("facts");
            model = Add(facts, "Model", "The model that drew it, and whose place it took.");
            engine = Add(facts, "Engine", "Where the model ran.");
            template = Add(facts, "Template", "The prompt's source and its version.");
            tier = Add(facts, "Tier", "Whether it was drawn as a draft or as a final.");
            seed = Add(facts, "Seed",
                "The same recipe with the same seed gives the same picture on the same kind of device.");
            time = Add(facts, "Time", "From the request until the picture was there.");
            cost = Add(facts, "Cost", "What the provider confirmed.");
            key = root.Q<Label>("key");
            copy = root.Q<Button>("copy-key");
            copy.clicked += () => EditorGUIUtility.systemCopyBuffer = keyShown;
        }

        internal void Show(Row row)
        {
            model.text = Wording.Model(row);
            engine.text = Wording.OrDash(row.Engine);
            template.text = Wording.Template(row);
            tier.text = Wording.Tier(row.Tier);
            seed.text = Wording.Seed(row.Seed);
            time.text = Wording.Duration(row.LatencyMs);
            cost.text = Wording.Cost(row);
            keyShown = row.Key ?? string.Empty;
            key.text = Wording.OrDash(keyShown);
            key.tooltip = keyShown;
            copy.SetEnabled(keyShown.Length > 0);
        }

        private static Label Add(VisualElement facts, string name, string tooltip)
        {
            var line = new VisualElement { tooltip = tooltip };
            line.AddToClassList("tf-fact");
            var label = new Label(name);
            label.AddToClassList("tf-fact__name");
            line.Add(label);
            var value = new Label { name = "fact-" + name.ToLowerInvariant() };
            value.AddToClassList("tf-fact__value");
            line.Add(value);
            facts.Add(line);
            return value;
        }
    }
}
