// The session of this project, and everything that waits for an answer from it.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using Thumbforge.Editor.Native;

namespace Thumbforge.Editor
{
    /// <summary>
    /// A session with the requests on their way over it. Main thread only.
    /// <code>
    /// Send ─► calls (by tag) ─► Pump, once a frame ─► Call.Complete ─► released
    /// </code>
    /// </summary>
    internal sealed class Connection
    {
        /// <summary>What pumping may take of a frame; the rest waits for the next. 60 frames a second have 16.7 ms.</summary>
        private static readonly long BudgetTicks = Stopwatch.Frequency / 1000000 * 150;

        private readonly NativeSession session;
        private readonly Dictionary<ulong, Call> calls = new Dictionary<ulong, Call>();
        private readonly List<KeyValuePair<Call, PixelCopy>> copies = new List<KeyValuePair<Call, PixelCopy>>();
        private readonly TfCompletion[] next = new TfCompletion[1];
        private readonly ulong firstTag;
        private ulong tags;

        private Connection(NativeSession session)
        {
            this.session = session;
            // Tags of scripts before and after a reload must differ; the lowest bits hold the kind.
            byte[] random = Guid.NewGuid().ToByteArray();
            firstTag = BitConverter.ToUInt64(random, 0) & ~0xffffffffUL;
        }

        /// <summary>Opens the session of this project, or takes over what scripts before a reload left of it.</summary>
        /// <exception cref="ThumbforgeException"><c>abi_mismatch</c>, <c>no_sidecar</c> and those of <c>tf_open</c>.</exception>
        internal static Connection Open()
        {
            uint library;
            bool matches;
            try
            {
                matches = NativeSession.LibraryMatches(out library);
            }
            catch (DllNotFoundException missing)
            {
                throw new ThumbforgeException("abi_mismatch", "the native library of the Thumbforge package cannot be loaded ("
                    + missing.Message + "); install a package that was built for this system");
            }
            catch (EntryPointNotFoundException)
            {
                matches = false;
                library = 0;
            }
            if (!matches)
            {
                throw new ThumbforgeException("abi_mismatch", "the editor still has the native library of another version of "
                    + "Thumbforge loaded (" + (library >> 16) + "." + (library & 0xffff) + "); restart the editor");
            }
            var connection = new Connection(NativeSession.Open(Installation.Options()));
            connection.Adopt();
            return connection;
        }

        /// <summary>Requests that have no answer yet.</summary>
        internal int Count
        {
            get { return calls.Count + copies.Count; }
        }

        internal IEnumerable<Call> Calls
        {
            get { return calls.Values; }
        }

        /// <summary>Finds the requests that scripts before a reload left.</summary>
        private void Adopt()
        {
            foreach (TfJob job in session.Jobs())
            {
                Call call = KindOf(job.tag) == CallKind.Picture ? new RecoveredCall()
                    : KindOf(job.tag) == CallKind.Command ? Builds.Adopted(job.tag, job.job)
                    : (Call)new PreviewCall(Forget);
                call.Tag = job.tag;
                call.Job = job.job;
                calls[job.tag] = call;
            }
        }

        /// <summary>A preview that nobody waits for any more.</summary>
        private static void Forget(UnityEngine.Texture2D preview)
        {
            if (preview != null)
            {
                UnityEngine.Object.DestroyImmediate(preview);
            }
        }

        private static CallKind KindOf(ulong tag)
        {
            return (CallKind)(tag & 3);
        }

        /// <summary>A tag that no request has.</summary>
        internal ulong NewTag(CallKind kind)
        {
            tags++;
            return firstTag | (tags << 2 & 0xffffffffUL) | (ulong)kind;
        }

        /// <summary>Sends a request for a picture.</summary>
        /// <exception cref="ThumbforgeException"><c>queue_full</c> at once, never later; <c>invalid_request</c>.</exception>
        internal void Send(PictureCall call)
        {
            call.Tag = NewTag(CallKind.Picture);
            call.Job = session.Submit(call.Request, call.Tag);
            calls[call.Tag] = call;
        }

        /// <summary>Sends a command under a tag of <see cref="NewTag"/>.</summary>
        /// <exception cref="ThumbforgeException">As <see cref="Send(PictureCall)"/>.</exception>
        internal void Send(Call call, ulong tag, string json)
        {
            call.Tag = tag;
            call.Job = session.Command(json, tag);
            calls[tag] = call;
        }

        /// <summary>Hands out what has ended since the last frame, as far as a frame's share of time goes.</summary>
        internal void Pump()
        {
            long deadline = Stopwatch.GetTimestamp() + BudgetTicks;
            for (int at = 0; at < copies.Count && Stopwatch.GetTimestamp() < deadline;)
            {
                if (copies[at].Value.IsDone)
                {
                    // Out of the list first: whoever gets the picture may end the session.
                    KeyValuePair<Call, PixelCopy> copied = copies[at];
                    copies.RemoveAt(at);
                    Finish(copied);
                }
                else
                {
                    at++;
                }
            }
            while (calls.Count > 0 && Stopwatch.GetTimestamp() < deadline && session.Poll(next) == 1)
            {
                Deliver(ref next[0]);
            }
        }

        private void Deliver(ref TfCompletion completion)
        {
            Call call;
            calls.TryGetValue(completion.tag, out call);
            calls.Remove(completion.tag);
            PixelCopy copy = null;
            try
            {
                copy = call == null ? null : call.Complete(ref completion);
            }
            catch (Exception fault)
            {
                // What a listener does wrong must not hold up the others; and whoever waits is told that nothing comes.
                UnityEngine.Debug.LogException(fault);
                Abandon(call, Known(fault));
            }
            if (copy == null)
            {
                NativeJob.Release(completion.job);
                return;
            }
            copies.Add(new KeyValuePair<Call, PixelCopy>(call, copy));
        }

        private static void Finish(KeyValuePair<Call, PixelCopy> copied)
        {
            ThumbforgeException failure = null;
            try
            {
                copied.Value.Finish();
            }
            catch (Exception lost)
            {
                failure = Known(lost);
            }
            try
            {
                copied.Key.Copied(copied.Value, failure);
            }
            catch (Exception fault)
            {
                UnityEngine.Debug.LogException(fault);
            }
        }

        private static ThumbforgeException Known(Exception fault)
        {
            return fault as ThumbforgeException ?? new ThumbforgeException("internal", fault.Message);
        }

        private static void Abandon(Call call, ThumbforgeException reason)
        {
            try
            {
                call.Abandon(reason);
            }
            catch (Exception fault)
            {
                UnityEngine.Debug.LogException(fault);
            }
        }

        /// <summary>Waits for something to pump, for hosts without frames.</summary>
        internal void Wait(int milliseconds)
        {
            if (copies.Count > 0)
            {
                copies[0].Value.Wait(milliseconds);
                return;
            }
            session.Wait(milliseconds);
        }

        internal TfSessionState State()
        {
            return session.State();
        }

        internal string Trouble()
        {
            return session.Trouble();
        }

        /// <summary>Leaves everything to the scripts that come after a reload.</summary>
        internal void Relinquish()
        {
            foreach (KeyValuePair<Call, PixelCopy> copy in copies)
            {
                copy.Value.Leave();
            }
            copies.Clear();
            session.Relinquish();
            calls.Clear();
        }

        /// <summary>Ends the session. What was accepted goes on in the sidecar, and its pictures come to lie in the store.</summary>
        internal void Close(ThumbforgeException reason)
        {
            var ending = new List<KeyValuePair<Call, PixelCopy>>(copies);
            copies.Clear();
            foreach (KeyValuePair<Call, PixelCopy> copy in ending)
            {
                Finish(copy);
            }
            session.Close();
            var left = new List<Call>(calls.Values);
            calls.Clear();
            foreach (Call call in left)
            {
                Abandon(call, reason);
            }
        }
    }
}
