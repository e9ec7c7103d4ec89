// From a status of the library to an exception that says what failed.

namespace Thumbforge.Editor.Native
{
    /// <summary>Statuses of the library; the one place where they become exceptions.</summary>
    internal static unsafe class Status
    {
        /// <summary>Passes on success.</summary>
        /// <param name="status">What a native function returned.</param>
        /// <param name="what">What was tried, as in "submit a request".</param>
        /// <exception cref="ThumbforgeException">Any other status, with the library's own words.</exception>
        internal static void Check(uint status, string what)
        {
            if (status != NativeMethods.TF_OK)
            {
                string said = LastError();
                string message = said.Length > 0 ? said : "failed to " + what;
                throw new ThumbforgeException(Word(status), message);
            }
        }

        /// <summary>The stable word of a status, as in "queue_full".</summary>
        internal static string Word(uint status)
        {
            return NativeText.Static(NativeMethods.tf_status_text(status));
        }

        private static string LastError()
        {
            uint needed = 0;
            byte* buffer = stackalloc byte[1024];
            uint status = NativeMethods.tf_last_error(buffer, 1024, &needed);
            return status == NativeMethods.TF_OK ? System.Text.Encoding.UTF8.GetString(buffer, (int)needed) : string.Empty;
        }
    }
}
