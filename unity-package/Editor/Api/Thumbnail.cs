// A picture, as a script gets it.
using System;
using System.Collections.Generic;
using Thumbforge.Editor.Native;
using UnityEngine;

namespace Thumbforge.Editor
{
    /// <summary>A finished picture and where it came from. Whoever gets it disposes of it, which destroys the texture.</summary>
    public sealed class Thumbnail : IDisposable
    {
        private readonly string detail;
        private RenderJson render;

        private Thumbnail(string detail)
        {
            this.detail = detail;
        }

        /// <summary>Read when somebody asks for it: a frame that fetches pictures has no time for it.</summary>
        private RenderJson Render
        {
            get { return render ?? (render = JsonUtility.FromJson<JobDetailJson>(detail).render ?? new RenderJson()); }
        }

        /// <summary>The picture: RGBA32, sRGB, readable, no mipmaps. Null once disposed.</summary>
        public Texture2D Texture { get; internal set; }

        /// <summary>Name of the asset that the request named; may be empty.</summary>
        public string Asset { get; private set; }

        /// <summary>Locale that the request named; may be empty.</summary>
        public string Locale { get; private set; }

        /// <summary>Realised key: 64 hexadecimal digits. The same key is the same picture, byte for byte.</summary>
        public string Key { get; private set; }

        /// <summary>Seed that it was drawn with.</summary>
        public long Seed { get; private set; }

        /// <summary>Engine that drew it: builtin, file, local, or the provider of a hosted model, as in openai.</summary>
        public string Engine
        {
            get { return Render.realisation == null ? string.Empty : Render.realisation.engine ?? string.Empty; }
        }

        /// <summary>Model of the catalogue.</summary>
        public string Model
        {
            get { return Render.model ?? string.Empty; }
        }

        /// <summary>The model that built-in art stands in for; empty where it does not.</summary>
        public string PlaceholderFor
        {
            get { return Render.placeholder_for ?? string.Empty; }
        }

        /// <summary>What it cost now, in millionths of a US dollar.</summary>
        public long CostMicrosUsd { get; private set; }

        /// <summary>Wall time of drawing, checking and encoding, in milliseconds.</summary>
        public long LatencyMs { get; private set; }

        /// <summary>Whether it was in the store already.</summary>
        public bool Cached { get; private set; }

        /// <summary>What the checks found, in words; empty when they found nothing.</summary>
        public IReadOnlyList<string> Findings
        {
            get { return Words(Render.verdict); }
        }

        /// <summary>Destroys the texture.</summary>
        public void Dispose()
        {
            if (Texture != null)
            {
                UnityEngine.Object.DestroyImmediate(Texture);
                Texture = null;
            }
        }

        /// <summary>What a completion says; its texture comes later.</summary>
        internal static Thumbnail Of(ref TfCompletion completion, string asset, string locale)
        {
            bool cached = (completion.flags & NativeMethods.TF_COMPLETION_CACHED) != 0;
            return new Thumbnail(NativeJob.Text(completion.job, NativeMethods.TF_TEXT_DETAIL))
            {
                Asset = asset ?? string.Empty,
                Locale = locale ?? string.Empty,
                Key = NativeJob.Text(completion.job, NativeMethods.TF_TEXT_KEY),
                Seed = (long)completion.seed,
                CostMicrosUsd = cached ? 0 : (long)completion.cost_micros_usd,
                LatencyMs = (long)completion.latency_ms,
                Cached = cached,
            };
        }

        private static string[] Words(VerdictJson verdict)
        {
            return verdict == null || verdict.findings == null
                ? new string[0]
                : Array.ConvertAll(verdict.findings, finding => finding.message);
        }
    }
}
