// What every failure of Thumbforge looks like to a script.
using System;

namespace Thumbforge.Editor
{
    /// <summary>A failure of Thumbforge: a stable word to act on, and a sentence for a person.</summary>
    public sealed class ThumbforgeException : Exception
    {
        /// <summary>A failure.</summary>
        /// <param name="code">The stable word, as in <c>queue_full</c>.</param>
        /// <param name="message">What failed, and what to do about it.</param>
        public ThumbforgeException(string code, string message)
            : base(message)
        {
            Code = code;
        }

        /// <summary>The stable word: the same in the command line's output, in reports and in C.</summary>
        public string Code { get; private set; }

        /// <summary>The code and the sentence.</summary>
        public override string ToString()
        {
            return "[" + Code + "] " + Message;
        }
    }
}
