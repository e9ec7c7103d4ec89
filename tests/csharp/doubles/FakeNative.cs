// What the editor's native side keeps while scripts come and go: one object in the default domain, reached from others.
using System;
using System.Collections.Generic;

namespace UnityEditor
{
    /// <summary>An item of the progress window.</summary>
    [Serializable]
    internal sealed class FakeProgressItem
    {
        internal int Id;
        internal int Parent;
        internal string Name;
        internal string Description;
        internal Progress.Options Options;
        internal Progress.Status Status;
        internal int Step;
        internal int Steps;
    }

    /// <summary>State that a reload of the scripts does not touch.</summary>
    internal sealed class FakeNative : MarshalByRefObject
    {
        private const string Slot = "unity.doubles.native";
        private static FakeNative here;
        private readonly Dictionary<string, string> values = new Dictionary<string, string>();
        private readonly List<FakeProgressItem> progress = new List<FakeProgressItem>();
        private readonly Dictionary<string, List<string>> journals = new Dictionary<string, List<string>>();
        private readonly DateTime started = DateTime.UtcNow;

        private FakeNative()
        {
        }

        /// <summary>This editor's; every domain of scripts sees the same one.</summary>
        internal static FakeNative Here
        {
            get
            {
                if (here == null)
                {
                    here = AppDomain.CurrentDomain.GetData(Slot) as FakeNative;
                    if (here == null)
                    {
                        throw new InvalidOperationException("no editor runs: call FakeEditor.Start first");
                    }
                }
                return here;
            }
        }

        /// <summary>Starts a new editor, without any memory of an earlier one.</summary>
        internal static FakeNative Begin()
        {
            here = new FakeNative();
            AppDomain.CurrentDomain.SetData(Slot, here);
            return here;
        }

        /// <summary>Lets a domain of scripts see this editor.</summary>
        internal void Enter(AppDomain domain)
        {
            domain.SetData(Slot, this);
        }

        /// <summary>When this editor started; the clock itself is asked in each domain.</summary>
        internal DateTime Started
        {
            get { return started; }
        }

        internal string Get(string key)
        {
            lock (values)
            {
                string value;
                return values.TryGetValue(key, out value) ? value : null;
            }
        }

        /// <summary>Sets a value; null takes it away.</summary>
        internal void Set(string key, string value)
        {
            lock (values)
            {
                if (value == null)
                {
                    values.Remove(key);
                }
                else
                {
                    values[key] = value;
                }
            }
        }

        internal string[] KeysWith(string prefix)
        {
            lock (values)
            {
                var keys = new List<string>();
                foreach (string key in values.Keys)
                {
                    if (key.StartsWith(prefix, StringComparison.Ordinal))
                    {
                        keys.Add(key);
                    }
                }
                keys.Sort(StringComparer.Ordinal);
                return keys.ToArray();
            }
        }

        /// <summary>Notes that something happened, for tests to count.</summary>
        internal void Note(string journal, string what)
        {
            lock (journals)
            {
                List<string> lines;
                if (!journals.TryGetValue(journal, out lines))
                {
                    journals[journal] = lines = new List<string>();
                }
                lines.Add(what);
            }
        }

        internal string[] Notes(string journal)
        {
            lock (journals)
            {
                List<string> lines;
                return journals.TryGetValue(journal, out lines) ? lines.ToArray() : new string[0];
            }
        }

        internal void Forget(string journal)
        {
            lock (journals)
            {
                journals.Remove(journal);
            }
        }

        internal int AddProgress(string name, string description, Progress.Options options, int parent)
        {
            lock (progress)
            {
                int id = progress.Count + 1;
                progress.Add(new FakeProgressItem
                {
                    Id = id, Parent = parent, Name = name, Description = description, Options = options, Steps = -1,
                });
                return id;
            }
        }

        /// <summary>The item, a copy of it in other domains; null where there is none.</summary>
        internal FakeProgressItem ProgressItem(int id)
        {
            lock (progress)
            {
                return id >= 1 && id <= progress.Count ? progress[id - 1] : null;
            }
        }

        internal void PutProgress(FakeProgressItem item)
        {
            lock (progress)
            {
                progress[item.Id - 1] = item;
            }
        }

        internal FakeProgressItem[] ProgressItems()
        {
            lock (progress)
            {
                return progress.ToArray();
            }
        }

        /// <summary>It lives as long as the process: no lease ends it.</summary>
        public override object InitializeLifetimeService()
        {
            return null;
        }
    }
}
