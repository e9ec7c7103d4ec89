// What a script asks for: one picture.

namespace Thumbforge.Editor
{
    /// <summary>One picture to make. What is left alone is decided by the router and the recipe.</summary>
    public sealed class ThumbnailRequest
    {
        /// <summary>What to draw.</summary>
        public string Prompt { get; set; }

        /// <summary>What not to draw.</summary>
        public string Negative { get; set; }

        /// <summary>A model by any spelling that <c>thumbforge models</c> lists; empty: the router chooses.</summary>
        public string Model { get; set; }

        /// <summary>Words that are set over the picture, in true type; empty for none.</summary>
        public string Words { get; set; }

        /// <summary>Width in pixels, 16 to 4096.</summary>
        public int Width { get; set; } = 512;

        /// <summary>Height in pixels, 16 to 4096.</summary>
        public int Height { get; set; } = 512;

        /// <summary>Seed, 0 to 2^53 - 1; without one it follows from the recipe, so the same request is the same picture.</summary>
        public long? Seed { get; set; }

        /// <summary>Denoising steps; without, the model's own.</summary>
        public int? Steps { get; set; }

        /// <summary>Guidance scale; without, the model's own.</summary>
        public double? Guidance { get; set; }

        /// <summary>A draft (tier preview) rather than a final.</summary>
        public bool Draft { get; set; }

        /// <summary>Whether built-in art may stand in for a model that is not on this machine.</summary>
        public bool AllowPlaceholder { get; set; }

        /// <summary>Higher is drawn first among the requests of this project.</summary>
        public int Priority { get; set; }

        /// <summary>Name of the asset that it is for; shown in the queue.</summary>
        public string Asset { get; set; }

        /// <summary>BCP 47 tag of the words; decides how they are shaped and broken.</summary>
        public string Locale { get; set; }
    }
}
