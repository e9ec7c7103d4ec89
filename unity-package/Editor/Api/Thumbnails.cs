// The public face of Thumbforge: pictures for scripts.
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Makes pictures. Call it from the main thread; tasks complete on it. Nothing here waits: pictures are drawn by the
    /// sidecar, and a frame spends microseconds on fetching them.
    /// </summary>
    public static class Thumbnails
    {
        /// <summary>
        /// Pictures that scripts asked for which were unloaded before they came. Without a listener they are not fetched; asked
        /// for again, they come from the store at once. Whoever listens disposes of them.
        /// </summary>
        public static event Action<Thumbnail> Recovered;

        internal static bool WantsRecovered
        {
            get { return Recovered != null; }
        }

        internal static void Recover(Thumbnail thumbnail)
        {
            Recovered(thumbnail);
        }

        /// <summary>Makes one picture, or takes it from the store.</summary>
        /// <param name="request">What to draw; it is read before the call returns.</param>
        /// <param name="cancel">Takes the job back. A picture that is finished first still comes.</param>
        /// <returns>The picture; whoever awaits it disposes of it. A reload of scripts ends the wait, not the job.</returns>
        /// <exception cref="ThumbforgeException">
        /// At once: <c>queue_full</c>, <c>invalid_request</c>, <c>no_sidecar</c>, <c>abi_mismatch</c>. From the task: why the job failed.
        /// </exception>
        public static Task<Thumbnail> GenerateAsync(ThumbnailRequest request, CancellationToken cancel = default(CancellationToken))
        {
            if (request == null)
            {
                throw new ArgumentNullException("request");
            }
            if (cancel.IsCancellationRequested)
            {
                return Task.FromCanceled<Thumbnail>(cancel);
            }
            var task = new TaskCompletionSource<Thumbnail>();
            var call = new PictureCall(request, task);
            Host.Connection.Send(call);
            call.ObeyTo(cancel);
            return task.Task;
        }

        /// <summary>
        /// Makes every picture of a manifest that is missing or has changed, and imports them. Pictures that were there keep their
        /// GUID and import settings; textures that were changed by hand are kept unless the filter says otherwise.
        /// </summary>
        /// <param name="manifest">Folder with a <c>thumbforge.toml</c>, relative to the project or absolute; null: that of the settings.</param>
        /// <param name="filter">Which pictures; null: all of them.</param>
        /// <param name="progress">Told on the main thread, some ten times a second.</param>
        /// <param name="cancel">Ends what is being drawn. What is made stays, and is imported.</param>
        /// <returns>The report, also where pictures failed. A reload of scripts ends the wait, not the build.</returns>
        /// <exception cref="ThumbforgeException">
        /// At once: <c>no_sidecar</c>, <c>abi_mismatch</c>, <c>queue_full</c>. From the task: a manifest that cannot be read, another
        /// version that is required, a lost sidecar.
        /// </exception>
        public static Task<RegenerationReport> RegenerateAsync(
            string manifest,
            RegenerationFilter filter = null,
            IProgress<RegenerationProgress> progress = null,
            CancellationToken cancel = default(CancellationToken))
        {
            if (cancel.IsCancellationRequested)
            {
                return Task.FromCanceled<RegenerationReport>(cancel);
            }
            var task = new TaskCompletionSource<RegenerationReport>();
            Build build = (filter ?? new RegenerationFilter()).Build(Manifests.Folder(manifest));
            build.watcher = progress;
            Builds.Start(build, result => Settle(task, result, cancel));
            // The sidecar is asked from whatever thread raises the token.
            build.cancelling = cancel.Register(asked => Builds.Cancel((Build)asked), build);
            return task.Task;
        }

        private static void Settle(TaskCompletionSource<RegenerationReport> task, BuildResult result, CancellationToken cancel)
        {
            if (result.Exit == ExitCodes.Interrupted && cancel.IsCancellationRequested)
            {
                task.TrySetCanceled();
            }
            else if (result.Report == null)
            {
                task.TrySetException(new ThumbforgeException(result.Code, result.Message));
            }
            else
            {
                task.TrySetResult(new RegenerationReport(result));
            }
        }
    }
}
