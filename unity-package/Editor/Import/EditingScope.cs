// One batch of changes to the asset database.
using System;
using UnityEditor;

namespace Thumbforge.Editor
{
    /// <summary>
    /// While it is open the asset database imports nothing; closing it imports all at once. Unity 2023.1 brought such a
    /// type of its own; 2022.3 has the two calls only.
    /// </summary>
    internal struct EditingScope : IDisposable
    {
        private bool open;

        internal static EditingScope Open()
        {
            AssetDatabase.StartAssetEditing();
            return new EditingScope { open = true };
        }

        public void Dispose()
        {
            if (open)
            {
                open = false;
                AssetDatabase.StopAssetEditing();
            }
        }
    }
}
