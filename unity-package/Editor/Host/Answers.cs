// What the sidecar answers, as JsonUtility reads it: the fields' names are those of the JSON.
using System;

// Fields are assigned by JsonUtility.
#pragma warning disable 0649

namespace Thumbforge.Editor
{
    [Serializable]
    internal sealed class FailureJson
    {
        public string code;
        public string message;
    }

    [Serializable]
    internal sealed class FindingJson
    {
        public string code;
        public string severity;
        public string message;
        public string expected;
        public string read;
        public float score = -1;
    }

    [Serializable]
    internal sealed class VerdictJson
    {
        public bool passed;
        public FindingJson[] findings;
        /// <summary>What read the words; empty where nobody did.</summary>
        public string[] readers;
    }

    [Serializable]
    internal sealed class ApprovalJson
    {
        public string state;
        public string person;
        public string role;
        public string date;
        public string note;
    }

    /// <summary>One picture of a report.</summary>
    [Serializable]
    internal sealed class ItemJson
    {
        public string asset;
        public string locale;
        public string path;
        public string file;
        public string state;
        public string realised_key;
        public string pixels;
        public string engine;
        public string model;
        public string placeholder_for;
        public long seed = -1;
        public string tier;
        public string template;
        public int template_version;
        public int attempts;
        public long cost_micros_usd;
        public long latency_ms;
        public VerdictJson verdict;
        public FailureJson error;
        public string note;
        public ApprovalJson approval;
    }

    /// <summary>The report of a build or a plan.</summary>
    [Serializable]
    internal sealed class ReportJson
    {
        public string root;
        public int planned;
        public int unchanged;
        public int stale;
        public int cached;
        public int rendered;
        public int failed;
        public int ambiguous;
        public int cancelled;
        public int kept;
        public int skipped;
        public long cost_micros_usd;
        public long elapsed_ms;
        public ItemJson[] items;
    }

    /// <summary>What a command came to.</summary>
    [Serializable]
    internal sealed class CommandJson
    {
        public int exit;
        public string message;
        public FailureJson[] errors;
        public ReportJson report;
        public string path;
    }

    /// <summary>A line of a build's events.</summary>
    [Serializable]
    internal sealed class EventJson
    {
        public string @event;
        public ItemJson[] items;
        public string path;
        public string state;
        public int step;
        public int steps;
        public ItemJson item;
    }

    /// <summary>The detail of a job that was not a command.</summary>
    [Serializable]
    internal sealed class JobDetailJson
    {
        public RenderJson render;
        public FailureJson failure;
    }

    [Serializable]
    internal sealed class RenderJson
    {
        public string realised_key;
        public string model;
        public string placeholder_for;
        public RealisationJson realisation;
        public VerdictJson verdict;
    }

    [Serializable]
    internal sealed class RealisationJson
    {
        public string engine;
        public string engine_version;
    }

    [Serializable]
    internal sealed class AnswerJson
    {
        public CommandJson answer;
    }
}
