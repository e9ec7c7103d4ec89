// Progress: items of the background task window, which outlive a reload only if they are unmanaged.
using System;
using System.Collections.Generic;

namespace UnityEditor
{
    public static class Progress
    {
        [Flags]
        public enum Options
        {
            None = 0 << 0,
            Sticky = 1 << 0,
            Indefinite = 1 << 1,
            Synchronous = 1 << 2,
            Managed = 1 << 3,
            Unmanaged = 1 << 4,
        }

        public enum Status
        {
            Running,
            Succeeded,
            Failed,
            Canceled,
            Paused,
        }

        private static readonly Dictionary<int, Func<bool>> Cancels = new Dictionary<int, Func<bool>>();

        public static int Start(string name, string description = null, Options options = Options.None,
            int parentId = -1)
        {
            return FakeNative.Here.AddProgress(name, description, options, parentId);
        }

        public static void Report(int id, float progress)
        {
            Report(id, progress, null);
        }

        public static void Report(int id, float progress, string description)
        {
            Report(id, (int)(progress * 1000), 1000, description);
        }

        public static void Report(int id, int currentStep, int totalSteps)
        {
            Report(id, currentStep, totalSteps, null);
        }

        public static void Report(int id, int currentStep, int totalSteps, string description)
        {
            FakeProgressItem item = Running(id);
            if (item == null)
            {
                return;
            }
            item.Step = currentStep;
            item.Steps = totalSteps;
            item.Description = description ?? item.Description;
            FakeNative.Here.PutProgress(item);
        }

        public static void Finish(int id, Status status = Status.Succeeded)
        {
            FakeProgressItem item = Running(id);
            if (item != null)
            {
                item.Status = status;
                FakeNative.Here.PutProgress(item);
            }
        }

        public static int Remove(int id)
        {
            Finish(id, Status.Canceled);
            return id;
        }

        public static bool Cancel(int id)
        {
            Func<bool> callback;
            lock (Cancels)
            {
                if (Running(id) == null || !Cancels.TryGetValue(id, out callback))
                {
                    return false;
                }
            }
            if (!callback())
            {
                return false;
            }
            Finish(id, Status.Canceled);
            return true;
        }

        public static void RegisterCancelCallback(int id, Func<bool> callback)
        {
            lock (Cancels)
            {
                Cancels[id] = callback;
            }
        }

        public static void UnregisterCancelCallback(int id)
        {
            lock (Cancels)
            {
                Cancels.Remove(id);
            }
        }

        public static bool Exists(int id)
        {
            // Items that ended go away; only sticky ones stay until somebody dismisses them.
            FakeProgressItem item = FakeNative.Here.ProgressItem(id);
            return item != null && (item.Status == Status.Running || (item.Options & Options.Sticky) != 0);
        }

        public static Status GetStatus(int id)
        {
            return Item(id).Status;
        }

        public static string GetName(int id)
        {
            return Item(id).Name;
        }

        public static string GetDescription(int id)
        {
            return Item(id).Description;
        }

        public static void SetDescription(int id, string description)
        {
            FakeProgressItem item = Item(id);
            item.Description = description;
            FakeNative.Here.PutProgress(item);
        }

        public static float GetProgress(int id)
        {
            FakeProgressItem item = Item(id);
            return item.Steps <= 0 ? 0 : (float)item.Step / item.Steps;
        }

        public static int GetCurrentStep(int id)
        {
            return Item(id).Step;
        }

        public static int GetTotalSteps(int id)
        {
            return Item(id).Steps;
        }

        public static int GetRunningProgressCount()
        {
            int count = 0;
            foreach (FakeProgressItem item in FakeNative.Here.ProgressItems())
            {
                count += item.Status == Status.Running ? 1 : 0;
            }
            return count;
        }

        private static FakeProgressItem Item(int id)
        {
            FakeProgressItem item = FakeNative.Here.ProgressItem(id);
            if (item == null)
            {
                throw new ArgumentException("no progress item " + id);
            }
            return item;
        }

        private static FakeProgressItem Running(int id)
        {
            FakeProgressItem item = FakeNative.Here.ProgressItem(id);
            return item != null && item.Status == Status.Running ? item : null;
        }
    }
}
