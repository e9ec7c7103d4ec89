// What is said about keys besides their words.
using System.Collections.Generic;

namespace UnityEngine.Localization.Metadata
{
    public interface IMetadata
    {
    }

    public class ExcludeEntryFromExport : IMetadata
    {
    }

    public class MetadataCollection
    {
        private readonly List<IMetadata> items = new List<IMetadata>();

        public IList<IMetadata> MetadataEntries
        {
            get { return items; }
        }

        public void AddMetadata(IMetadata md)
        {
            items.Add(md);
        }

        public bool HasMetadata<TObject>() where TObject : IMetadata
        {
            return items.Exists(item => item is TObject);
        }
    }
}
