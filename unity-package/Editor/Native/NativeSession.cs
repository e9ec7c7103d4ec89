// A session of the library, with its handle kept in one place. No policy: it converts, calls and checks.
using System;

namespace Thumbforge.Editor.Native
{
    /// <summary>What a session is opened with.</summary>
    internal sealed class SessionOptions
    {
        /// <summary>Absolute path of the user's data directory; it names the sidecar.</summary>
        internal string DataDirectory;
        /// <summary>Absolute path of the Unity project.</summary>
        internal string Project;
        /// <summary>The program that is started when no sidecar runs; empty: none is.</summary>
        internal string Program;
        /// <summary>Its arguments beside those that the library gives.</summary>
        internal string[] Arguments = new string[0];
    }

    /// <summary>
    /// A session. Main thread, but for <see cref="Wait"/>. The handle is a number with a generation, so a late call is
    /// the status <c>stale_handle</c> and never a crash; there is nothing for a finalizer to do.
    /// </summary>
    internal sealed unsafe class NativeSession
    {
        private ulong handle;

        private NativeSession(ulong handle)
        {
            this.handle = handle;
        }

        /// <summary>Whether bindings and library have the same major version.</summary>
        internal static bool LibraryMatches(out uint library)
        {
            library = NativeMethods.tf_abi_version();
            // The minor version of the library may be newer; an older one lacks functions that are called here.
            return library >> 16 == NativeMethods.TF_ABI_VERSION >> 16
                && (library & 0xffff) >= (NativeMethods.TF_ABI_VERSION & 0xffff);
        }

        /// <summary>Opens a session, or takes over the one of scripts that were unloaded.</summary>
        /// <exception cref="ThumbforgeException">As <c>tf_open</c>.</exception>
        internal static NativeSession Open(SessionOptions options)
        {
            var texts = new Utf8[options.Arguments.Length];
            var arguments = new TfText[options.Arguments.Length];
            for (int at = 0; at < texts.Length; at++)
            {
                texts[at] = new Utf8(options.Arguments[at]);
                arguments[at] = texts[at].Text;
            }
            try
            {
                using (var dataDirectory = new Utf8(options.DataDirectory))
                using (var project = new Utf8(options.Project))
                using (var program = new Utf8(options.Program))
                fixed (TfText* argumentsAt = arguments)
                {
                    ulong opened = 0;
                    var native = new TfOptions
                    {
                        struct_size = (uint)sizeof(TfOptions),
                        abi = NativeMethods.TF_ABI_VERSION,
                        // A reload may have come without notice; the session of this project is ours either way.
                        flags = NativeMethods.TF_OPEN_TAKE_OVER,
                        argument_count = (uint)arguments.Length,
                        arguments = argumentsAt,
                        data_dir = dataDirectory.Text,
                        project = project.Text,
                        program = program.Text,
                    };
                    Status.Check(NativeMethods.tf_open(&native, &opened), "open a session");
                    return new NativeSession(opened);
                }
            }
            finally
            {
                foreach (Utf8 text in texts)
                {
                    text.Dispose();
                }
            }
        }

        internal TfSessionState State()
        {
            var state = new TfSessionState { struct_size = (uint)sizeof(TfSessionState) };
            Status.Check(NativeMethods.tf_session_state(handle, &state), "look at the session");
            return state;
        }

        /// <summary>Why there is no sidecar; empty where there is one.</summary>
        internal string Trouble()
        {
            return NativeText.Read(
                (buffer, capacity, needed) => NativeMethods.tf_session_text(handle, buffer, capacity, needed),
                "look at the session");
        }

        /// <summary>Submits a request for pixels. Never waits.</summary>
        /// <exception cref="ThumbforgeException"><c>queue_full</c>, and the others of <c>tf_submit</c>.</exception>
        internal ulong Submit(ThumbnailRequest request, ulong tag)
        {
            using (var asset = new Utf8(request.Asset))
            using (var locale = new Utf8(request.Locale))
            using (var prompt = new Utf8(request.Prompt))
            using (var negative = new Utf8(request.Negative))
            using (var model = new Utf8(request.Model))
            using (var words = new Utf8(request.Words))
            {
                ulong job = 0;
                var native = new TfRequest
                {
                    struct_size = (uint)sizeof(TfRequest),
                    flags = Flags(request),
                    tag = tag,
                    asset = asset.Text,
                    locale = locale.Text,
                    prompt = prompt.Text,
                    negative = negative.Text,
                    model = model.Text,
                    words = words.Text,
                    width = (uint)Math.Max(0, request.Width),
                    height = (uint)Math.Max(0, request.Height),
                    tier = request.Draft ? NativeMethods.TF_TIER_PREVIEW : NativeMethods.TF_TIER_PRODUCTION,
                    steps = (uint)request.Steps.GetValueOrDefault(),
                    seed = (ulong)request.Seed.GetValueOrDefault(),
                    guidance = request.Guidance.GetValueOrDefault(),
                    lane = NativeMethods.TF_LANE_INTERACTIVE,
                    priority = request.Priority,
                    deliver = NativeMethods.TF_DELIVER_PIXELS,
                };
                Status.Check(NativeMethods.tf_submit(handle, &native, &job), "submit a request");
                return job;
            }
        }

        private static uint Flags(ThumbnailRequest request)
        {
            return (request.Seed.HasValue ? NativeMethods.TF_REQUEST_SEED : 0)
                | (request.Steps.HasValue ? NativeMethods.TF_REQUEST_STEPS : 0)
                | (request.Guidance.HasValue ? NativeMethods.TF_REQUEST_GUIDANCE : 0)
                | (request.AllowPlaceholder ? NativeMethods.TF_REQUEST_PLACEHOLDER : 0);
        }

        /// <summary>Sends a command as JSON. Never waits; it completes like a job.</summary>
        /// <exception cref="ThumbforgeException"><c>queue_full</c>, and the others of <c>tf_command</c>.</exception>
        internal ulong Command(string json, ulong tag)
        {
            using (var text = new Utf8(json))
            {
                ulong job = 0;
                Status.Check(NativeMethods.tf_command(handle, text.Data, text.Bytes, tag, &job), "send a command");
                return job;
            }
        }

        /// <summary>Jobs that have not been released: how scripts learn what those before them left.</summary>
        internal TfJob[] Jobs()
        {
            while (true)
            {
                uint count = 0;
                Status.Check(NativeMethods.tf_jobs(handle, null, 0, &count), "list the jobs");
                if (count == 0)
                {
                    return new TfJob[0];
                }
                var jobs = new TfJob[count];
                jobs[0].struct_size = (uint)sizeof(TfJob);
                uint there = 0;
                fixed (TfJob* at = jobs)
                {
                    Status.Check(NativeMethods.tf_jobs(handle, at, count, &there), "list the jobs");
                }
                if (there <= count)
                {
                    Array.Resize(ref jobs, (int)there);
                    return jobs;
                }
            }
        }

        /// <summary>Fetches completions into <paramref name="into"/>; how many there were. Allocates nothing.</summary>
        internal int Poll(TfCompletion[] into)
        {
            uint count = 0;
            into[0].struct_size = (uint)sizeof(TfCompletion);
            fixed (TfCompletion* at = into)
            {
                Status.Check(NativeMethods.tf_poll(handle, at, (uint)into.Length, &count), "poll");
            }
            return (int)count;
        }

        /// <summary>Waits for something to poll. Never while a person uses the editor.</summary>
        internal bool Wait(int milliseconds)
        {
            uint ready = 0;
            Status.Check(NativeMethods.tf_wait(handle, (uint)milliseconds, &ready), "wait");
            return ready != 0;
        }

        /// <summary>Lets go of the session for the scripts that come next.</summary>
        internal void Relinquish()
        {
            // Scripts are being unloaded; there is nobody to tell of a stale handle.
            NativeMethods.tf_relinquish(handle);
            handle = 0;
        }

        internal void Close()
        {
            NativeMethods.tf_close(handle);
            handle = 0;
        }
    }

    /// <summary>Calls on a job's handle.</summary>
    internal static unsafe class NativeJob
    {
        /// <summary>How far a job is; false once it has been released.</summary>
        internal static bool TryProgress(ulong job, out TfProgress progress)
        {
            var found = new TfProgress { struct_size = (uint)sizeof(TfProgress) };
            uint status = NativeMethods.tf_progress(job, &found);
            progress = found;
            return status == NativeMethods.TF_OK;
        }

        /// <summary>Asks to cancel; a job that has ended is left as it is.</summary>
        internal static void Cancel(ulong job)
        {
            NativeMethods.tf_cancel(job);
        }

        internal static string Text(ulong job, uint part)
        {
            return NativeText.Read(
                (buffer, capacity, needed) => NativeMethods.tf_job_text(job, part, buffer, capacity, needed),
                "read a text of a job");
        }

        /// <summary>Copies the pixels of a polled job, bottom row first, as Unity keeps textures.</summary>
        internal static void CopyTexture(ulong job, void* into, long bytes)
        {
            Status.Check(
                NativeMethods.tf_texture_copy(job, (byte*)into, (ulong)bytes, NativeMethods.TF_ROWS_BOTTOM_UP),
                "copy a picture");
        }

        internal static void Release(ulong job)
        {
            NativeMethods.tf_release(job);
        }
    }
}
