// The scheduler of UI Elements: it runs when a test says that time has passed.
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;

namespace UnityEngine.UIElements
{
    public interface IVisualElementScheduler
    {
        IVisualElementScheduledItem Execute(Action updateEvent);
    }

    public interface IVisualElementScheduledItem
    {
        void Pause();

        void Resume();

        IVisualElementScheduledItem Every(long intervalMs);
    }

    internal sealed class FakeScheduler : IVisualElementScheduler
    {
        private static readonly ConditionalWeakTable<VisualElement, FakeScheduler> All =
            new ConditionalWeakTable<VisualElement, FakeScheduler>();

        private readonly List<Item> items = new List<Item>();

        internal static FakeScheduler Of(VisualElement element)
        {
            return All.GetOrCreateValue(element);
        }

        public IVisualElementScheduledItem Execute(Action updateEvent)
        {
            var item = new Item { Update = updateEvent };
            items.Add(item);
            return item;
        }

        /// <summary>Runs everything that repeats, once.</summary>
        internal void Tick()
        {
            foreach (Item item in items.ToArray())
            {
                if (!item.Paused)
                {
                    item.Update();
                }
            }
        }

        private sealed class Item : IVisualElementScheduledItem
        {
            internal Action Update;
            internal bool Paused;

            public void Pause()
            {
                Paused = true;
            }

            public void Resume()
            {
                Paused = false;
            }

            public IVisualElementScheduledItem Every(long intervalMs)
            {
                return this;
            }
        }
    }
}
