// A place on screen that shows one file's preview, and holds on to exactly that one.
using System;
using UnityEngine;
using UnityEngine.UIElements;

namespace Thumbforge.Editor
{
    /// <summary>
    /// An image element with its preview. A file that is written anew keeps its old picture until the new one is there;
    /// another file's picture never stays, because list rows are used again for other rows.
    /// </summary>
    internal sealed class PreviewSlot
    {
        private const string EmptyClass = "tf-preview--empty";

        private readonly PreviewCache cache;
        private readonly Image image;
        private readonly int sideMax;
        private readonly Action<Texture2D> ready;
        private PreviewCache.Entry shown, coming;

        internal PreviewSlot(PreviewCache cache, Image image, int sideMax)
        {
            this.cache = cache;
            this.image = image;
            this.sideMax = sideMax;
            ready = Arrived;
            image.scaleMode = ScaleMode.ScaleToFit;
            image.EnableInClassList(EmptyClass, true);
        }

        internal bool HasPicture
        {
            get { return image.image != null; }
        }

        internal void Show(string file)
        {
            if (string.IsNullOrEmpty(file))
            {
                Clear();
                return;
            }
            PreviewCache.Key key = PreviewCache.KeyOf(file, sideMax);
            PreviewCache.Entry newest = coming ?? shown;
            if (newest != null && newest.Key.Equals(key))
            {
                return;
            }
            if (newest != null && newest.Key.File != file)
            {
                Clear();
            }
            LetGo(ref coming);
            PreviewCache.Entry taken = cache.Take(key, ready);
            if (taken.Settled)
            {
                // Its texture is on screen already: `ready` was called within Take.
                LetGo(ref shown);
                shown = taken;
            }
            else
            {
                coming = taken;
            }
        }

        internal void Clear()
        {
            LetGo(ref coming);
            LetGo(ref shown);
            Put(null);
        }

        private void Arrived(Texture2D texture)
        {
            if (coming != null && coming.Settled)
            {
                LetGo(ref shown);
                shown = coming;
                coming = null;
            }
            Put(texture);
        }

        private void Put(Texture2D texture)
        {
            image.image = texture;
            image.EnableInClassList(EmptyClass, texture == null);
        }

        private void LetGo(ref PreviewCache.Entry entry)
        {
            if (entry != null)
            {
                PreviewCache.Entry old = entry;
                entry = null;
                cache.Return(old, ready);
            }
        }
    }
}
