// The sidecar of an editor opens no port of the machine, unless the project's settings ask for one.
using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using NUnit.Framework;
using Thumbforge.Editor;
using Thumbforge.Editor.Native;

namespace Thumbforge.Tests
{
    internal sealed class PortScripts : Scripts
    {
        /// <summary>Opens the session; the sidecar's process.</summary>
        public int Open(int port)
        {
            ThumbforgeSettings.instance.ServeHttp = port > 0;
            ThumbforgeSettings.instance.HttpPort = port > 0 ? port : 8080;
            Connection connection = Host.Connection;
            Until("a sidecar", () => connection.State().link == NativeMethods.TF_LINK_ATTACHED);
            return (int)connection.State().sidecar_pid;
        }
    }

    [TestFixture]
    internal sealed class PortTests
    {
        private EditorProcess editor;

        [SetUp]
        public void Start()
        {
            editor = new EditorProcess();
        }

        [TearDown]
        public void End()
        {
            editor.Dispose();
        }

        /// <summary>TCP ports that a process listens on: its sockets among those that the kernel lists as listening.</summary>
        private static List<int> Ports(int process)
        {
            var own = new HashSet<string>();
            foreach (string descriptor in Directory.GetFiles("/proc/" + process + "/fd"))
            {
                string target = Mono.Unix.UnixPath.TryReadLink(descriptor) ?? string.Empty;
                if (target.StartsWith("socket:[", StringComparison.Ordinal))
                {
                    own.Add(target.Substring(8).TrimEnd(']'));
                }
            }
            Assert.That(own, Is.Not.Empty, "not even the socket of the channel is seen");
            var ports = new List<int>();
            foreach (string table in new[] { "/proc/net/tcp", "/proc/net/tcp6" })
            {
                foreach (string line in File.Exists(table) ? File.ReadAllLines(table) : new string[0])
                {
                    string[] fields = line.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
                    if (fields.Length > 9 && fields[3] == "0A" && own.Contains(fields[9]))
                    {
                        ports.Add(Convert.ToInt32(fields[1].Substring(fields[1].IndexOf(':') + 1), 16));
                    }
                }
            }
            return ports;
        }

        private static int FreePort()
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            int port = ((IPEndPoint)listener.LocalEndpoint).Port;
            listener.Stop();
            return port;
        }

        [Test]
        public void NoPortIsOpenedUnlessAsked()
        {
            Assert.That(Ports(editor.Load<PortScripts>().Open(0)), Is.Empty);
        }

        [Test]
        public void ThePortThatIsAskedForIsOpened()
        {
            int port = FreePort();
            Assert.That(Ports(editor.Load<PortScripts>().Open(port)), Is.EqualTo(new[] { port }));
        }
    }
}
