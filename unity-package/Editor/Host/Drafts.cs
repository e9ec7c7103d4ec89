// Drafts that wait for a decision, remembered in the project's Library.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>A draft: where it lies, and what the build said of it.</summary>
    [Serializable]
    internal sealed class Draft
    {
        public string file;
        public ItemJson item;
    }

    /// <summary>The drafts of this project. Files and book lie under <c>Library</c>: a draft is nobody else's yet.</summary>
    internal sealed class Drafts
    {
        [Serializable]
        private sealed class Book
        {
            public List<Draft> drafts = new List<Draft>();
        }

        private readonly Dictionary<string, Draft> byId = new Dictionary<string, Draft>(StringComparer.Ordinal);

        private static string BookFile
        {
            get { return Path.Combine(Installation.LibraryFolder, "drafts.json"); }
        }

        internal Drafts()
        {
            foreach (Draft draft in Read().drafts)
            {
                if (File.Exists(draft.file) && !string.IsNullOrEmpty(draft.item.asset))
                {
                    byId[Row.IdOf(draft.item.asset, draft.item.locale)] = draft;
                }
            }
        }

        /// <summary>The book; an empty one where it is damaged: drafts are drawn again in no time, and a window must open.</summary>
        private static Book Read()
        {
            try
            {
                Book book = File.Exists(BookFile) ? JsonUtility.FromJson<Book>(File.ReadAllText(BookFile)) : null;
                return book ?? new Book();
            }
            catch (Exception fault) when (fault is ArgumentException || fault is IOException || fault is UnauthorizedAccessException)
            {
                Debug.LogWarning("Thumbforge: the list of drafts cannot be read, so it begins anew: " + fault.Message);
                return new Book();
            }
        }

        internal ICollection<Draft> All
        {
            get { return byId.Values; }
        }

        internal Draft Of(Row row)
        {
            Draft draft;
            return byId.TryGetValue(row.Id, out draft) ? draft : null;
        }

        /// <summary>Remembers what a build of drafts made.</summary>
        internal void Add(ReportJson report)
        {
            foreach (ItemJson item in report.items)
            {
                if (item.state == "done" || item.state == "unchanged")
                {
                    string file = Path.GetFullPath(Path.Combine(report.root, item.path));
                    byId[Row.IdOf(item.asset, item.locale)] = new Draft { file = file, item = item };
                }
            }
            Save();
        }

        /// <summary>Forgets a draft and removes its file.</summary>
        internal void Remove(Row row)
        {
            Draft draft = Of(row);
            if (draft != null && byId.Remove(row.Id))
            {
                Save();
                File.Delete(draft.file);
            }
        }

        private void Save()
        {
            Directory.CreateDirectory(Installation.LibraryFolder);
            // Whole or not at all: an editor may end at any moment.
            string written = BookFile + ".new";
            File.WriteAllText(written, JsonUtility.ToJson(new Book { drafts = new List<Draft>(byId.Values) }));
            if (File.Exists(BookFile))
            {
                File.Replace(written, BookFile, null);
            }
            else
            {
                File.Move(written, BookFile);
            }
        }
    }
}
