// A board that a test writes, and that remembers what it was asked for.
using System;
using System.Collections.Generic;
using Thumbforge.Editor;
using UnityEngine;

namespace Thumbforge.Tests
{
    /// <summary>Rows by script; previews are answered when the test says so.</summary>
    internal sealed class WindowBoard : IBoard
    {
        internal readonly List<Row> List = new List<Row>();
        internal readonly List<string> Calls = new List<string>();
        internal readonly List<Preview> Previews = new List<Preview>();
        internal Exception Fault;

        public IReadOnlyList<Row> Rows
        {
            get { return List; }
        }

        public int Version { get; private set; }

        public LinkState Link { get; internal set; } = LinkState.Attached;

        public string LinkMessage { get; internal set; } = string.Empty;

        public bool HasManifest { get; internal set; } = true;

        public string Busy { get; internal set; } = string.Empty;

        public string Trouble { get; internal set; } = string.Empty;

        /// <summary>Whether previews are answered at once.</summary>
        internal bool Prompt { get; set; } = true;

        internal Row Add(string asset, string locale, RowState state, bool draft = false)
        {
            var row = new Row
            {
                Id = Row.IdOf(asset, locale), Asset = asset, Locale = locale, State = state, Path = "Assets/" + asset
                    + "." + locale + ".png",
                FinalFile = state == RowState.Missing ? string.Empty : "/pictures/" + asset + "." + locale + ".png",
                DraftFile = draft ? "/drafts/" + asset + "." + locale + ".png" : string.Empty,
            };
            List.Add(row);
            return row;
        }

        internal void Changed()
        {
            Version++;
        }

        public void Accept(Row row)
        {
            Call("accept " + row.Asset + "." + row.Locale);
        }

        public void Reject(Row row, string reason)
        {
            Call("reject " + row.Asset + "." + row.Locale + ": " + reason);
        }

        public void Reroll(Row row)
        {
            Call("reroll " + row.Asset + "." + row.Locale);
        }

        public void Promote(Row row)
        {
            Call("promote " + row.Asset + "." + row.Locale);
        }

        public void Cancel(Row row)
        {
            Call("cancel " + row.Asset + "." + row.Locale);
        }

        public void CancelAll()
        {
            Call("cancel all");
        }

        public void RegenerateAll()
        {
            Call("regenerate all");
        }

        public void Refresh()
        {
            Call("refresh");
        }

        public void Tick()
        {
        }

        public void RequestPreview(string file, int sideMax, Action<Texture2D> ready)
        {
            var preview = new Preview { File = file, SideMax = sideMax, Ready = ready };
            Previews.Add(preview);
            if (Prompt)
            {
                preview.Answer();
            }
        }

        private void Call(string what)
        {
            Calls.Add(what);
            if (Fault != null)
            {
                throw Fault;
            }
        }

        /// <summary>One request for a preview.</summary>
        internal sealed class Preview
        {
            internal string File;
            internal int SideMax;
            internal Action<Texture2D> Ready;
            internal Texture2D Texture;

            internal void Answer()
            {
                Texture = new Texture2D(16, 16) { name = File };
                Ready(Texture);
            }
        }
    }
}
