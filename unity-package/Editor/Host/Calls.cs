// What scripts wait for: one object for every request on its way, found again by its tag.
using System;
using System.Threading;
using System.Threading.Tasks;
using Thumbforge.Editor.Native;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>What a tag was given out for; it stands in its lowest bits, so that it is known after a reload too.</summary>
    internal enum CallKind
    {
        Picture = 0,
        Command = 1,
        Preview = 2,
    }

    /// <summary>A request on its way.</summary>
    internal abstract class Call
    {
        internal ulong Tag;
        internal ulong Job;

        /// <summary>
        /// The request has ended. What the completion lends is given back when this returns, or, where it returns a copy, when
        /// that is finished.
        /// </summary>
        internal abstract PixelCopy Complete(ref TfCompletion completion);

        /// <summary>The copy that <see cref="Complete"/> began has ended; <paramref name="failure"/> is null where it went well.</summary>
        internal virtual void Copied(PixelCopy copy, ThumbforgeException failure)
        {
        }

        /// <summary>Nobody will answer any more: the session ends.</summary>
        internal abstract void Abandon(ThumbforgeException reason);

        /// <summary>Why a job has no picture.</summary>
        protected static ThumbforgeException Failure(ref TfCompletion completion)
        {
            string message = NativeJob.Text(completion.job, NativeMethods.TF_TEXT_MESSAGE);
            return new ThumbforgeException(Status.Word(completion.status), message);
        }
    }

    /// <summary>A picture for a script.</summary>
    internal sealed class PictureCall : Call
    {
        private readonly TaskCompletionSource<Thumbnail> task;
        private CancellationTokenRegistration registration;
        private Thumbnail thumbnail;

        internal PictureCall(ThumbnailRequest request, TaskCompletionSource<Thumbnail> task)
        {
            Request = request;
            this.task = task;
        }

        internal ThumbnailRequest Request { get; private set; }

        /// <summary>Takes the job back when <paramref name="cancel"/> is raised, from whatever thread that is.</summary>
        internal void ObeyTo(CancellationToken cancel)
        {
            registration = cancel.Register(job => NativeJob.Cancel((ulong)job), Job);
        }

        internal override PixelCopy Complete(ref TfCompletion completion)
        {
            registration.Dispose();
            if (completion.outcome == NativeMethods.TF_OUTCOME_CANCELLED)
            {
                task.TrySetCanceled();
                return null;
            }
            if (completion.outcome == NativeMethods.TF_OUTCOME_FAILED)
            {
                task.TrySetException(Failure(ref completion));
                return null;
            }
            thumbnail = Thumbnail.Of(ref completion, Request.Asset, Request.Locale);
            return new PixelCopy(ref completion);
        }

        internal override void Copied(PixelCopy copy, ThumbforgeException failure)
        {
            if (failure != null)
            {
                task.TrySetException(failure);
                return;
            }
            thumbnail.Texture = copy.Texture;
            task.TrySetResult(thumbnail);
        }

        internal override void Abandon(ThumbforgeException reason)
        {
            registration.Dispose();
            task.TrySetException(reason);
        }
    }

    /// <summary>A picture that scripts asked for which have been unloaded since.</summary>
    internal sealed class RecoveredCall : Call
    {
        private Thumbnail thumbnail;

        internal override PixelCopy Complete(ref TfCompletion completion)
        {
            if (completion.outcome != NativeMethods.TF_OUTCOME_DONE || !Thumbnails.WantsRecovered)
            {
                // The picture is in the store: asked for again, it is there at once.
                return null;
            }
            string asset = NativeJob.Text(completion.job, NativeMethods.TF_TEXT_ASSET);
            string locale = NativeJob.Text(completion.job, NativeMethods.TF_TEXT_LOCALE);
            thumbnail = Thumbnail.Of(ref completion, asset, locale);
            return new PixelCopy(ref completion);
        }

        internal override void Copied(PixelCopy copy, ThumbforgeException failure)
        {
            if (failure == null)
            {
                thumbnail.Texture = copy.Texture;
                Thumbnails.Recover(thumbnail);
            }
        }

        internal override void Abandon(ThumbforgeException reason)
        {
        }
    }

    /// <summary>A command; its answer is JSON.</summary>
    internal sealed class CommandCall : Call
    {
        private readonly Action<CommandJson, ThumbforgeException> done;
        private readonly Action<string> raw;

        /// <summary>Either a command that came to an end, whatever its exit code, or why it did not.</summary>
        internal CommandCall(Action<CommandJson, ThumbforgeException> done)
        {
            this.done = done;
        }

        /// <summary>A command whose answer is wanted as it is; null when there is none.</summary>
        internal CommandCall(Action<string> raw, Action<ThumbforgeException> failed)
        {
            this.raw = raw;
            done = (answer, failure) => failed(failure);
        }

        internal override PixelCopy Complete(ref TfCompletion completion)
        {
            if (completion.outcome == NativeMethods.TF_OUTCOME_CANCELLED)
            {
                done(null, new ThumbforgeException("cancelled", "cancelled; what was made is kept"));
                return null;
            }
            if (completion.outcome == NativeMethods.TF_OUTCOME_FAILED)
            {
                done(null, Failure(ref completion));
                return null;
            }
            string detail = NativeJob.Text(completion.job, NativeMethods.TF_TEXT_DETAIL);
            if (raw != null)
            {
                raw(detail);
                return null;
            }
            done(JsonUtility.FromJson<AnswerJson>(detail).answer, null);
            return null;
        }

        internal override void Abandon(ThumbforgeException reason)
        {
            done(null, reason);
        }
    }

    /// <summary>A file of the disk as a small texture.</summary>
    internal sealed class PreviewCall : Call
    {
        private readonly Action<Texture2D> ready;

        internal PreviewCall(Action<Texture2D> ready)
        {
            this.ready = ready;
        }

        internal override PixelCopy Complete(ref TfCompletion completion)
        {
            bool shown = completion.outcome == NativeMethods.TF_OUTCOME_DONE
                && completion.format == NativeMethods.TF_DELIVER_PIXELS;
            if (!shown)
            {
                ready(null);
                return null;
            }
            return new PixelCopy(ref completion);
        }

        internal override void Copied(PixelCopy copy, ThumbforgeException failure)
        {
            ready(failure == null ? copy.Texture : null);
        }

        internal override void Abandon(ThumbforgeException reason)
        {
            ready(null);
        }
    }
}
