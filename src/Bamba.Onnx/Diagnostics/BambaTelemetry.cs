using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Bamba.Onnx.Diagnostics;

/// <summary>
/// The meter and the activity source of this library, both named <see cref="Name"/>. They cost next to nothing while nobody
/// listens.
/// </summary>
/// <remarks>
/// Instruments: <c>bamba.prefill.duration</c> and <c>bamba.decode.duration</c> (histograms, seconds a call),
/// <c>bamba.prefill.tokens</c> and <c>bamba.decode.tokens</c> (counters), <c>bamba.sessions</c> and
/// <c>bamba.session.state</c> (open sessions, bytes of their caches). Activities: <c>bamba.load</c>, <c>bamba.prefill</c>,
/// <c>bamba.generate</c>.
/// </remarks>
public static class BambaTelemetry
{
    /// <summary>The name to listen to.</summary>
    public const string Name = "Bamba.Onnx";

    private static readonly ActivitySource Activities = new(Name);
    private static readonly Meter Meter = new(Name);
    private static readonly Histogram<double> PrefillDuration = Meter.CreateHistogram<double>(
        "bamba.prefill.duration",
        "s",
        "Time of a prefill call"
    );
    private static readonly Histogram<double> DecodeDuration = Meter.CreateHistogram<double>(
        "bamba.decode.duration",
        "s",
        "Time of a decode step of all rows"
    );
    private static readonly Counter<long> PrefillTokens = Meter.CreateCounter<long>(
        "bamba.prefill.tokens",
        "{token}",
        "Tokens taken by prefill calls"
    );
    private static readonly Counter<long> DecodeTokens = Meter.CreateCounter<long>(
        "bamba.decode.tokens",
        "{token}",
        "Tokens taken by decode steps"
    );
    private static readonly UpDownCounter<int> Sessions = Meter.CreateUpDownCounter<int>(
        "bamba.sessions",
        "{session}",
        "Open sessions"
    );
    private static readonly UpDownCounter<long> StateBytes = Meter.CreateUpDownCounter<long>(
        "bamba.session.state",
        "By",
        "Bytes of the caches of open sessions"
    );

    internal static Activity? StartLoad(string folder) =>
        Activities.StartActivity("bamba.load")?.SetTag("bamba.model", folder);

    internal static Activity? StartPrefill(int rows, long tokens) =>
        Activities.StartActivity("bamba.prefill")?.SetTag("bamba.rows", rows).SetTag("bamba.tokens", tokens);

    internal static Activity? StartGenerate(int rows) =>
        Activities.StartActivity("bamba.generate")?.SetTag("bamba.rows", rows);

    internal static void SessionOpened(long stateBytes)
    {
        Sessions.Add(1);
        StateBytes.Add(stateBytes);
    }

    internal static void SessionClosed(long stateBytes)
    {
        Sessions.Add(-1);
        StateBytes.Add(-stateBytes);
    }

    internal static void Prefilled(long tokens, TimeSpan duration)
    {
        PrefillTokens.Add(tokens);
        PrefillDuration.Record(duration.TotalSeconds);
    }

    internal static void Decoded(long tokens, TimeSpan duration)
    {
        DecodeTokens.Add(tokens);
        DecodeDuration.Record(duration.TotalSeconds);
    }
}
