// A host in C#, as an editor is one: scripts submit, are unloaded without notice, and the next ones find everything.
//
// mono RoundTrip.exe DATA-DIR
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace Thumbforge.Editor.Native
{
    /// <summary>What scripts do between two reloads. It lives in a domain of its own.</summary>
    internal sealed unsafe class Scripts : MarshalByRefObject
    {
        private ulong session;

        internal static void Check(bool condition, string what)
        {
            if (!condition)
            {
                throw new InvalidOperationException("failed: " + what);
            }
        }

        internal static void Ok(uint status, string what)
        {
            if (status != NativeMethods.TF_OK)
            {
                string word = Marshal.PtrToStringAnsi((IntPtr)NativeMethods.tf_status_text(status));
                throw new InvalidOperationException(what + ": " + word + ": " + LastError());
            }
        }

        private static string LastError()
        {
            uint needed = 0;
            NativeMethods.tf_last_error(null, 0, &needed);
            byte[] words = new byte[needed + 1];
            fixed (byte* at = words)
            {
                NativeMethods.tf_last_error(at, needed, &needed);
            }
            return Encoding.UTF8.GetString(words, 0, (int)needed);
        }

        internal static string TextOf(ulong job, uint part)
        {
            uint needed = 0;
            Ok(NativeMethods.tf_job_text(job, part, null, 0, &needed), "tf_job_text");
            byte[] words = new byte[needed + 1];
            fixed (byte* at = words)
            {
                Ok(NativeMethods.tf_job_text(job, part, at, needed, &needed), "tf_job_text");
            }
            return Encoding.UTF8.GetString(words, 0, (int)needed);
        }

        /// <summary>Opens a session, or takes over the one of scripts that are gone.</summary>
        public void Open(string dataDir)
        {
            byte[] folder = Encoding.UTF8.GetBytes(dataDir);
            byte[] project = Encoding.UTF8.GetBytes("round trip in C#");
            fixed (byte* folderAt = folder, projectAt = project)
            {
                var options = new TfOptions();
                options.struct_size = (uint)sizeof(TfOptions);
                options.abi = NativeMethods.TF_ABI_VERSION;
                options.flags = NativeMethods.TF_OPEN_TAKE_OVER;
                options.data_dir = new TfText { data = folderAt, bytes = (uint)folder.Length };
                options.project = new TfText { data = projectAt, bytes = (uint)project.Length };
                ulong opened = 0;
                Ok(NativeMethods.tf_open(&options, &opened), "tf_open");
                session = opened;
            }
        }

        public void Submit(ulong tag)
        {
            byte[] prompt = Encoding.UTF8.GetBytes("a crate, Kiste, 木箱 " + tag);
            byte[] asset = Encoding.UTF8.GetBytes("木箱");
            fixed (byte* promptAt = prompt, assetAt = asset)
            {
                var request = new TfRequest();
                request.struct_size = (uint)sizeof(TfRequest);
                request.tag = tag;
                request.prompt = new TfText { data = promptAt, bytes = (uint)prompt.Length };
                request.asset = new TfText { data = assetAt, bytes = (uint)asset.Length };
                request.width = 64;
                request.height = 48;
                request.tier = NativeMethods.TF_TIER_PREVIEW;
                request.deliver = NativeMethods.TF_DELIVER_PIXELS;
                ulong job = 0;
                Ok(NativeMethods.tf_submit(session, &request, &job), "tf_submit");
            }
        }

        /// <summary>Waits for a completion and looks at its pixels; it stays lent.</summary>
        internal TfCompletion Next()
        {
            uint ready = 0;
            Ok(NativeMethods.tf_wait(session, 120000, &ready), "tf_wait");
            Check(ready == 1, "nothing came");
            var completion = new TfCompletion { struct_size = (uint)sizeof(TfCompletion) };
            uint count = 0;
            Ok(NativeMethods.tf_poll(session, &completion, 1, &count), "tf_poll");
            Check(count == 1 && completion.outcome == NativeMethods.TF_OUTCOME_DONE, "one is done");
            Check(TextOf(completion.job, NativeMethods.TF_TEXT_ASSET) == "木箱", "its asset");
            Check(TextOf(completion.job, NativeMethods.TF_TEXT_KEY).Length == 64, "its key");

            var texture = new TfTexture { struct_size = (uint)sizeof(TfTexture) };
            Ok(NativeMethods.tf_texture_view(completion.job, &texture), "tf_texture_view");
            Check(texture.width == 64 && texture.height == 48 && texture.bytes == 64 * 48 * 4, "its size");
            byte[] turned = new byte[texture.bytes];
            fixed (byte* at = turned)
            {
                Ok(NativeMethods.tf_texture_copy(completion.job, at, (ulong)turned.Length, NativeMethods.TF_ROWS_BOTTOM_UP),
                    "tf_texture_copy");
            }
            for (int row = 0; row < 48; row++)
            {
                for (int at = 0; at < 64 * 4; at++)
                {
                    Check(turned[row * 64 * 4 + at] == texture.data[(47 - row) * 64 * 4 + at], "its rows");
                }
            }
            return completion;
        }

        /// <summary>Takes one completion and keeps it, as scripts do that are about to be unloaded.</summary>
        public ulong TakeOne()
        {
            return Next().tag;
        }

        /// <summary>Asks for a command and waits for its answer in JSON.</summary>
        internal string Command(string json)
        {
            byte[] words = Encoding.UTF8.GetBytes(json);
            ulong job = 0;
            fixed (byte* at = words)
            {
                Ok(NativeMethods.tf_command(session, at, (uint)words.Length, 77, &job), "tf_command");
            }
            uint ready = 0, count = 0;
            Ok(NativeMethods.tf_wait(session, 120000, &ready), "tf_wait");
            var completion = new TfCompletion { struct_size = (uint)sizeof(TfCompletion) };
            Ok(NativeMethods.tf_poll(session, &completion, 1, &count), "tf_poll");
            Check(count == 1 && completion.job == job && completion.tag == 77, "its completion");
            Check(completion.outcome == NativeMethods.TF_OUTCOME_DONE, "it is done");
            string answer = TextOf(job, NativeMethods.TF_TEXT_DETAIL);
            Ok(NativeMethods.tf_release(job), "tf_release");
            return answer;
        }

        internal int Jobs()
        {
            uint count = 0;
            Ok(NativeMethods.tf_jobs(session, null, 0, &count), "tf_jobs");
            return (int)count;
        }

        internal void Close()
        {
            Ok(NativeMethods.tf_close(session), "tf_close");
            Check(NativeMethods.tf_close(session) == NativeMethods.TF_STALE_HANDLE, "closed once");
        }
    }

    internal static unsafe class RoundTrip
    {
        private static int Main(string[] arguments)
        {
            Scripts.Check(NativeMethods.tf_abi_version() >> 16 == NativeMethods.TF_ABI_VERSION >> 16, "the ABI");
            Sizes();

            AppDomain domain = AppDomain.CreateDomain("scripts");
            var before = (Scripts)domain.CreateInstanceAndUnwrap(typeof(Scripts).Assembly.FullName, typeof(Scripts).FullName);
            before.Open(arguments[0]);
            for (ulong tag = 1; tag <= 5; tag++)
            {
                before.Submit(tag);
            }
            ulong held = before.TakeOne();
            AppDomain.Unload(domain);

            var after = new Scripts();
            after.Open(arguments[0]);
            Scripts.Check(after.Jobs() == 5, "all five are known");
            var tags = new bool[6];
            for (int round = 0; round < 5; round++)
            {
                TfCompletion completion = after.Next();
                bool again = (completion.flags & NativeMethods.TF_COMPLETION_AGAIN) != 0;
                Scripts.Check(again == (completion.tag == held), "only what was held is offered again");
                Scripts.Check(!tags[completion.tag], "each comes once");
                tags[completion.tag] = true;
                Scripts.Ok(NativeMethods.tf_release(completion.job), "tf_release");
                Scripts.Check(NativeMethods.tf_release(completion.job) == NativeMethods.TF_STALE_HANDLE, "released once");
            }
            string answer = after.Command("{\"verb\":\"doctor\"}");
            Scripts.Check(answer.StartsWith("{\"answer\":", StringComparison.Ordinal), "its answer");
            Scripts.Check(after.Jobs() == 0, "none is left");
            after.Close();
            Console.WriteLine("all of it");
            return 0;
        }

        private static void Sizes()
        {
            Console.WriteLine("TfText " + sizeof(TfText));
            Console.WriteLine("TfOptions " + sizeof(TfOptions));
            Console.WriteLine("TfRequest " + sizeof(TfRequest));
            Console.WriteLine("TfCompletion " + sizeof(TfCompletion));
            Console.WriteLine("TfJob " + sizeof(TfJob));
            Console.WriteLine("TfProgress " + sizeof(TfProgress));
            Console.WriteLine("TfTexture " + sizeof(TfTexture));
            Console.WriteLine("TfSessionState " + sizeof(TfSessionState));
        }
    }
}
