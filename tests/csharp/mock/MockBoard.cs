// A board of rows that do not move, and previews that are the names of their files.
using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>Stands where the project's board stands in an editor.</summary>
    internal sealed class MockBoard : IBoard
    {
        internal readonly List<Row> List = new List<Row>();

        public IReadOnlyList<Row> Rows
        {
            get { return List; }
        }

        public int Version { get; internal set; }

        public LinkState Link { get; internal set; } = LinkState.Attached;

        public string LinkMessage { get; internal set; } = string.Empty;

        public bool HasManifest { get; internal set; } = true;

        public string Busy { get; internal set; } = string.Empty;

        public string Trouble { get; internal set; } = string.Empty;

        public void Accept(Row row)
        {
        }

        public void Reject(Row row, string reason)
        {
        }

        public void Reroll(Row row)
        {
        }

        public void Promote(Row row)
        {
        }

        public void Cancel(Row row)
        {
        }

        public void CancelAll()
        {
        }

        public void RegenerateAll()
        {
        }

        public void Refresh()
        {
        }

        public void Tick()
        {
        }

        /// <summary>The page shows the file itself; the texture brings its name.</summary>
        public void RequestPreview(string file, int sideMax, Action<Texture2D> ready)
        {
            ready(File.Exists(file) ? new Texture2D(8, 8) { name = file } : null);
        }
    }
}
