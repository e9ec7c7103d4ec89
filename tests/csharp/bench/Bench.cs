// What a cached picture costs an editor: over the channel, and as people do it today, over HTTP and a PNG.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Net;
using System.Text;
using System.Threading.Tasks;
using Thumbforge.Editor;
using UnityEditor;
using UnityEngine;

namespace Thumbforge.Bench
{
    internal static class Bench
    {
        private const int Side = 512;
        private const int Rounds = 300;
        private const string Prompt = "a golden sword on a velvet cushion";

        private static int Main()
        {
            string folder = Path.Combine(Path.GetTempPath(), "thumbforge-bench-" + Guid.NewGuid().ToString("N"));
            string data = Path.Combine(folder, "data");
            string program = Environment.GetEnvironmentVariable("THUMBFORGE_TEST_PROGRAM");
            FakeEditor.Start(Path.Combine(folder, "project"));
            FakeEditor.Leave();
            using (Process sidecar = Serve(program, data))
            {
                try
                {
                    string address = Address(sidecar);
                    Installation.ProgramOverride = program;
                    Installation.DataDirectoryOverride = data;
                    Print("submit, poll, texture", Measure(OverTheChannel));
                    Print("HTTP, PNG, LoadImage", Measure(() => OverHttp(address)));
                    Host.Quit();
                }
                finally
                {
                    sidecar.Kill();
                    sidecar.WaitForExit();
                    Environment.CurrentDirectory = Path.GetTempPath();
                    Directory.Delete(folder, true);
                }
            }
            return 0;
        }

        private static Process Serve(string program, string data)
        {
            var start = new ProcessStartInfo(program, "serve --port 0 --data-dir \"" + data + "\"")
            {
                UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true,
            };
            return Process.Start(start);
        }

        /// <summary>The sidecar says where it listens in its first lines.</summary>
        private static string Address(Process sidecar)
        {
            while (true)
            {
                string line = sidecar.StandardError.ReadLine();
                if (line == null)
                {
                    throw new InvalidOperationException("the sidecar ended without saying where it listens");
                }
                int at = line.IndexOf("http://", StringComparison.Ordinal);
                if (at >= 0)
                {
                    return line.Substring(at).Split(' ', ',', ';')[0].TrimEnd('.', '/');
                }
            }
        }

        private static double[] Measure(Action round)
        {
            // The first ones draw the picture, connect and compile.
            for (int warm = 0; warm < 20; warm++)
            {
                round();
            }
            var times = new List<double>();
            for (int at = 0; at < Rounds; at++)
            {
                long began = Stopwatch.GetTimestamp();
                round();
                times.Add((Stopwatch.GetTimestamp() - began) * 1000.0 / Stopwatch.Frequency);
            }
            times.Sort();
            return times.ToArray();
        }

        private static void OverTheChannel()
        {
            Task<Thumbnail> task = Thumbnails.GenerateAsync(new ThumbnailRequest
            {
                Prompt = Prompt, Model = "builtin", Width = Side, Height = Side,
            });
            while (!task.IsCompleted)
            {
                Host.Turn(1000);
            }
            Checked(task.Result.Texture);
            task.Result.Dispose();
        }

        private static void OverHttp(string address)
        {
            var request = (HttpWebRequest)WebRequest.Create(address + "/api/generate");
            request.Method = "POST";
            request.ContentType = "application/json";
            request.ServicePoint.Expect100Continue = false;
            request.ServicePoint.UseNagleAlgorithm = false;
            string size = "\"width\":" + Side + ",\"height\":" + Side;
            string json = "{\"prompt\":\"" + Prompt + "\",\"model\":\"builtin\"," + size + "}";
            byte[] body = Encoding.UTF8.GetBytes(json);
            using (Stream stream = request.GetRequestStream())
            {
                stream.Write(body, 0, body.Length);
            }
            var png = new MemoryStream();
            using (WebResponse response = request.GetResponse())
            using (Stream stream = response.GetResponseStream())
            {
                stream.CopyTo(png);
            }
            var texture = new Texture2D(2, 2, TextureFormat.RGBA32, false);
            if (!texture.LoadImage(png.ToArray()))
            {
                throw new InvalidOperationException("the answer is no PNG that can be read");
            }
            Checked(texture);
            UnityEngine.Object.DestroyImmediate(texture);
        }

        private static void Checked(Texture2D texture)
        {
            if (texture.width != Side || texture.height != Side)
            {
                throw new InvalidOperationException("the picture is " + texture.width + "x" + texture.height);
            }
        }

        private static void Print(string name, double[] times)
        {
            Console.WriteLine("| {0,-24} | p50 {1,8:F3} ms | p99 {2,8:F3} ms | {3} rounds of {4}x{4}, cached |", name,
                times[times.Length / 2], times[times.Length * 99 / 100], times.Length, Side);
        }
    }
}
