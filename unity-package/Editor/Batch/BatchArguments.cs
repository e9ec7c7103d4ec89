// The command line of a headless editor, as far as it is for Thumbforge.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;

namespace Thumbforge.Editor
{
    /// <summary>
    /// Reads <c>-thumbforgeName value</c> arguments. Unity passes over what it does not know, so a misspelt argument of ours
    /// would do nothing and nobody would notice; here it is an error.
    /// </summary>
    internal sealed class BatchArguments
    {
        private const string Prefix = "-thumbforge";

        private delegate void Setter(BatchArguments into, string value);

        private static readonly Dictionary<string, Setter> Values = new Dictionary<string, Setter>(StringComparer.OrdinalIgnoreCase)
        {
            { "Manifest", (into, value) => into.Build.manifest = value },
            { "Locales", (into, value) => into.Build.locales = List(value) },
            { "Assets", (into, value) => into.Build.assets = List(value) },
            { "Require", (into, value) => into.Build.require = List(value) },
            { "Deny", (into, value) => into.Build.deny = List(value) },
            { "Budget", (into, value) => into.Build.budget = value },
            { "Report", (into, value) => into.Build.reportTo = Path.GetFullPath(value) },
            { "JUnit", (into, value) => into.Build.junit = Path.GetFullPath(value) },
            { "Timeout", (into, value) => into.Timeout = Seconds(value) },
            { "Program", (into, value) => into.Program = Path.GetFullPath(value) },
            { "DataDir", (into, value) => into.DataDirectory = Path.GetFullPath(value) },
        };

        private static readonly Dictionary<string, Action<Build>> Switches =
            new Dictionary<string, Action<Build>>(StringComparer.OrdinalIgnoreCase)
        {
            { "DryRun", build => build.dryRun = true },
            { "Check", build => build.check = true },
            { "Force", build => build.force = true },
            { "Upgrade", build => build.upgrade = true },
            { "Placeholder", build => build.placeholder = true },
        };

        /// <summary>What is asked of the build.</summary>
        internal Build Build = new Build();
        /// <summary>How long it may take; null: as long as it takes.</summary>
        internal TimeSpan? Timeout;
        /// <summary>The sidecar's program, in place of the package's.</summary>
        internal string Program = string.Empty;
        /// <summary>The data directory, in place of the user's.</summary>
        internal string DataDirectory = string.Empty;

        /// <summary>Reads a command line.</summary>
        /// <exception cref="ThumbforgeException"><c>invalid_request</c> that names the argument and those there are.</exception>
        internal static BatchArguments Read(string[] arguments)
        {
            var read = new BatchArguments();
            for (int at = 0; at < arguments.Length; at++)
            {
                if (!arguments[at].StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
                {
                    continue;
                }
                string name = arguments[at].Substring(Prefix.Length);
                Action<Build> turnOn;
                Setter set;
                if (Switches.TryGetValue(name, out turnOn))
                {
                    turnOn(read.Build);
                }
                else if (!Values.TryGetValue(name, out set))
                {
                    throw Wrong("there is no argument " + arguments[at] + "; there are " + Known());
                }
                else if (at + 1 >= arguments.Length || arguments[at + 1].StartsWith("-", StringComparison.Ordinal))
                {
                    throw Wrong("the argument " + arguments[at] + " needs a value behind it");
                }
                else
                {
                    set(read, arguments[++at]);
                }
            }
            return read;
        }

        private static string[] List(string value)
        {
            string[] parts = value.Split(new[] { ',', ';' }, StringSplitOptions.RemoveEmptyEntries);
            return Array.ConvertAll(parts, part => part.Trim());
        }

        private static TimeSpan Seconds(string value)
        {
            double seconds;
            bool read = double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out seconds);
            if (!read || !(seconds > 0) || seconds > int.MaxValue / 1000)
            {
                throw Wrong(Prefix + "Timeout is a number of seconds above 0, as in 600; it was \"" + value + "\"");
            }
            return TimeSpan.FromSeconds(seconds);
        }

        private static string Known()
        {
            var names = new List<string>(Values.Keys);
            names.AddRange(Switches.Keys);
            return Prefix + string.Join(", " + Prefix, names.ToArray());
        }

        private static ThumbforgeException Wrong(string message)
        {
            return new ThumbforgeException("invalid_request", message);
        }
    }
}
