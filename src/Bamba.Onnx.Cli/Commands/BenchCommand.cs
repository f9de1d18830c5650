using System.CommandLine;
using System.Diagnostics;
using Bamba.Onnx.Cli.Benchmarking;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx bench [MODEL]</c>.</summary>
internal sealed class BenchCommand
{
    private const string Markdown = "md";
    private const string Json = "json";

    private readonly ExportedModelArguments model;
    private readonly Option<int[]> prompts = ListOption(
        "--n-prompt",
        "-p",
        512,
        0,
        "Lengths of prompts, measured as pp; 0 for none."
    );
    private readonly Option<int[]> generations = ListOption(
        "--n-gen",
        "-n",
        128,
        0,
        "Tokens to decode one at a time, measured as tg; 0 for none."
    );
    private readonly Option<int[]> batches = ListOption("--batch", "-b", 1, 1, "Rows; tokens of all rows count.");
    private readonly Option<int[]> depths = ListOption(
        "--n-depth",
        "-d",
        0,
        0,
        "Tokens in each row before the clock starts."
    );
    private readonly Option<int> repetitions = WholeNumbers.Option(
        "--repetitions",
        "Times that each test is measured.",
        () => 5,
        "-r"
    );
    private readonly Option<int> threads = WholeNumbers.Option(
        "--threads",
        "Threads of one operator, by default one a core.",
        () => Machine.OfProcess().Cores,
        "-t"
    );
    private readonly Option<Device> device = DeviceArgument.Create();
    private readonly Option<CustomOps> ops = OpsArgument.Create();
    private readonly Option<string?> trace = TraceArgument.ToWrite();
    private readonly Option<string> output = new Option<string>("--output", "-o")
    {
        Description = "A Markdown table, or JSON with every sample.",
        DefaultValueFactory = _ => Markdown,
    }.AcceptOnlyFromAmong(Markdown, Json);

    private BenchCommand(CliConsole console)
    {
        model = new ExportedModelArguments(ModelArguments.Optional(console));
    }

    public static Command Create(CliConsole console)
    {
        var it = new BenchCommand(console);
        var command = new Command("bench", "Measure prefill and decode, in llama-bench's terms.")
        {
            it.prompts,
            it.generations,
            it.batches,
            it.depths,
            it.repetitions,
            it.threads,
            it.device,
            it.ops,
            it.output,
            it.trace,
        };
        it.model.AddTo(command);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                await it.RunAsync(console, parsed, cancellationToken).ConfigureAwait(false);
                return ExitCode.Success;
            }
        );
        return command;
    }

    private async Task RunAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken)
    {
        IReadOnlyList<BenchmarkTest> tests = BenchmarkTest.Combine(
            parsed.GetRequiredValue(prompts),
            parsed.GetRequiredValue(generations),
            parsed.GetRequiredValue(batches),
            parsed.GetRequiredValue(depths)
        );
        ModelRequest request = model.Read(parsed);
        string folder = await model.ResolveAsync(console, parsed, cancellationToken).ConfigureAwait(false);
        // Before the model is loaded, which may take longer than reading the message.
        BenchmarkTest.RequireRoom(tests, ModelManifest.Load(folder).Options.ContextLength);
        int threadCount = parsed.GetValue(threads);
        long start = Stopwatch.GetTimestamp();
        BambaRuntimeOptions options = parsed.GetValue(device).With(parsed.GetRequiredValue(ops)) with
        {
            Threads = threadCount,
            TraceFile = parsed.GetValue(trace),
        };
        using BambaRuntime runtime = await DeviceNotes
            .LoadAsync(console, folder, options, cancellationToken)
            .ConfigureAwait(false);
        TimeSpan load = Stopwatch.GetElapsedTime(start);
        Measure(
            console,
            new BenchmarkRunner(runtime, parsed.GetValue(repetitions), console.ShowStatus),
            BenchmarkedModel.Of(runtime, NameOf(request.Model), threadCount, load),
            tests,
            parsed.GetValue(output) == Json,
            cancellationToken
        );
    }

    private static void Measure(
        CliConsole console,
        BenchmarkRunner runner,
        BenchmarkedModel model,
        IReadOnlyList<BenchmarkTest> tests,
        bool json,
        CancellationToken cancellationToken
    )
    {
        var machine = Machine.OfProcess();
        var versions = ProductVersions.OfProcess();
        var table = new BenchmarkTable(json ? TextWriter.Null : console.Out, model, tests);
        var records = new List<BenchmarkRecord>();
        var results = new List<BenchmarkResult>();
        table.WriteHead();
        foreach (BenchmarkTest test in tests)
        {
            DateTime start = DateTime.UtcNow;
            BenchmarkResult result;
            try
            {
                result = runner.Run(test, cancellationToken);
            }
            finally
            {
                console.ClearStatus();
            }
            table.WriteRow(result);
            results.Add(result);
            records.Add(BenchmarkRecord.Of(result, model, machine, versions, start));
        }
        table.WriteFoot(machine, versions, results);
        if (json)
        {
            console.Out.WriteLine(BenchmarkRecord.ToJson(records));
        }
    }

    /// <summary>What the user calls the model: the last part of what was given, not the folder of a cache.</summary>
    private static string NameOf(string? source) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(source ?? ModelSource.ShippedModel)));

    private static Option<int[]> ListOption(string name, string alias, int standard, int least, string description) =>
        new(name, alias)
        {
            Description = description,
            HelpName = "N,…",
            DefaultValueFactory = _ => [standard],
            CustomParser = argument =>
                [
                    .. argument.Tokens.SelectMany(token =>
                        WholeNumbers.Read(argument, token.Value.Split(','), name, least)
                    ),
                ],
        };
}
