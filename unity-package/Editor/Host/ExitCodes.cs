// Exit codes of the command line, which the batch entry shares.

namespace Thumbforge.Editor
{
    /// <summary>Exit codes. 1 stays free: it is Unity's own.</summary>
    internal static class ExitCodes
    {
        /// <summary>Done, or nothing to do.</summary>
        internal const int Done = 0;
        /// <summary>Usage, or bad input.</summary>
        internal const int Input = 2;
        /// <summary>Some pictures failed, or are held.</summary>
        internal const int Failed = 3;
        /// <summary>No sidecar.</summary>
        internal const int NoSidecar = 4;
        /// <summary>Another version: of the native library, the sidecar or the manifest's <c>requires</c>.</summary>
        internal const int Mismatch = 5;
        /// <summary>Timed out.</summary>
        internal const int TimedOut = 6;
        /// <summary>A quality gate.</summary>
        internal const int Gate = 7;
        /// <summary>The budget.</summary>
        internal const int Budget = 8;
        /// <summary>Interrupted.</summary>
        internal const int Interrupted = 130;

        /// <summary>The exit code of a failure that ends everything.</summary>
        internal static int Of(string code)
        {
            switch (code)
            {
                case "no_sidecar":
                    return NoSidecar;
                case "abi_mismatch":
                case "version_mismatch":
                    return Mismatch;
                case "deadline_exceeded":
                    return TimedOut;
                case "cancelled":
                    return Interrupted;
                case "over_budget":
                    return Budget;
                case "invalid_request":
                case "invalid_manifest":
                case "unknown_model":
                case "unsupported_field":
                case "unknown_price":
                case "model_retired":
                case "licence_denied":
                case "policy_denied":
                case "missing_string":
                case "input_file":
                case "output_path":
                case "not_found":
                    return Input;
                default:
                    return Failed;
            }
        }
    }
}
