using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Bamba.Onnx.Diagnostics;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;
using Microsoft.Extensions.Logging;

namespace Bamba.Onnx.Tests;

/// <summary>Alone while it runs: the meter tells of every session in the process.</summary>
[CollectionDefinition(nameof(DiagnosticsTests), DisableParallelization = true)]
[Collection(nameof(DiagnosticsTests))]
public sealed class DiagnosticsTests
{
    private static readonly string Model = ExportedModels.Of(TestData.TinyShakespeare);

    [Fact]
    public void The_meter_counts_tokens_times_sessions_and_bytes()
    {
        var sums = new ConcurrentDictionary<string, double>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == BambaTelemetry.Name)
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Add(instrument, value));
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Add(instrument, value));
        listener.Start();
        void Add(Instrument instrument, double value) =>
            sums.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value);

        using BambaRuntime runtime = BambaRuntime.Load(Model);
        BambaSession session = runtime.CreateSession(batchSize: 2, contextLength: 16);
        session.Prefill([new[] { 1, 2, 3 }, new[] { 4 }]);
        session.Decode(5, BambaSession.NoToken);
        Assert.Equal((1, session.StateBytes), (sums["bamba.sessions"], sums["bamba.session.state"]));
        session.Dispose();
        Assert.Equal((4, 1), (sums["bamba.prefill.tokens"], sums["bamba.decode.tokens"]));
        Assert.Equal((0, 0), (sums["bamba.sessions"], sums["bamba.session.state"]));
        Assert.InRange(sums["bamba.prefill.duration"], 1e-6, 60);
        Assert.InRange(sums["bamba.decode.duration"], 1e-6, 60);
    }

    [Fact]
    public async Task Activities_and_logs_tell_of_load_prefill_and_generation()
    {
        var activities = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == BambaTelemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activities.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var logs = new RecordingLoggers();
        using BambaRuntime runtime = BambaRuntime.Load(Model, new BambaRuntimeOptions { LoggerFactory = logs });
        await runtime.CompleteAsync(
            "ROMEO:",
            new GenerationOptions
            {
                MaxNewTokens = 3,
                Sampling = SamplingOptions.Greedy,
                EosTokenIds = [],
            },
            TestContext.Current.CancellationToken
        );
        Assert.Equal(["bamba.load", "bamba.prefill", "bamba.generate"], activities.Select(one => one.OperationName));
        Assert.Equal(Model, activities.First().GetTagItem("bamba.model"));
        Assert.Collection(
            logs.Lines,
            line => Assert.Contains("4869420 parameters as f32", line),
            line => Assert.Contains("session of 1 rows", line),
            line => Assert.Contains("3 new ones", line)
        );
    }

    private sealed class RecordingLoggers : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) { }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => Lines.Enqueue(formatter(state, exception));

        public void Dispose() { }
    }
}
