using System.Text.Json.Nodes;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Hosts.GenAI;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>
/// Greedy decoding of the small real model in this runtime and in ONNX Runtime GenAI: one process, one folder, one ONNX Runtime,
/// each with and without the native library, runs in turn.
/// </summary>
internal static class GenAIDecode
{
    private const int TokensOfRun = 64;
    private const int Runs = 20;
    private const int WarmUps = 5;
    private const int ContextLength = 4096;
    private const int Rounds = 3;
    private static readonly int[] Prompt = [2043, 1092, 311, 11, 541, 330, 295, 311];

    // Its sources say half of the machine's hardware threads, from 1 to 16.
    private static int GenAIDefaultThreads => Math.Clamp(Environment.ProcessorCount / 2, 1, 16);

    /// <param name="library">The path of <c>libonnxruntime-genai</c>, with <c>libonnxruntime</c> beside it.</param>
    public static void Measure(string library)
    {
        string folder = ExportedModels.CopyOf(TestData.TinyShakespeare);
        try
        {
            // GenAI takes libraries from the model's folder only.
            File.Copy(
                Path.Combine(AppContext.BaseDirectory, CustomOps.FileName),
                Path.Combine(folder, CustomOps.FileName)
            );
            int?[] threads = [1, Environment.ProcessorCount, null];
            string load = OperatingSystem.IsLinux() ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
            var record = new JsonObject
            {
                ["what"] =
                    $"milliseconds of a greedily decoded token of bamba-tiny-shakespeare, float32, one row, medians of {Runs} runs of {TokensOfRun} tokens in turn, context up to {(Runs + WarmUps) * TokensOfRun}",
                ["machine"] = Measured.Machine,
                ["load_average"] = load,
                ["onnx_runtime"] = typeof(Microsoft.ML.OnnxRuntime.InferenceSession)
                    .Assembly.GetName()
                    .Version!.ToString(3),
                ["limit_genai_over_bamba_onnx"] = 1.0,
                ["by_threads"] = new JsonArray([
                    .. Enumerable
                        .Range(1, Rounds)
                        .SelectMany(round => threads.Distinct().Select(n => Measure(library, folder, n, round))),
                ]),
            };
            Console.WriteLine(record.ToJsonString());
            Measured.Write("genai-decode.json", record);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <param name="library">GenAI's.</param>
    /// <param name="folder">The model.</param>
    /// <param name="threads">Threads of an operator; null for what each takes unless it is told.</param>
    /// <param name="round">Which time this is, from 1.</param>
    private static JsonObject Measure(string library, string folder, int? threads, int round)
    {
        using BambaRuntime kernels = Load(CustomOps.Auto);
        using BambaRuntime functions = Load(CustomOps.Off);
        using BambaSession kernelSession = kernels.CreateSession(contextLength: ContextLength);
        using BambaSession functionSession = functions.CreateSession(contextLength: ContextLength);
        using var genAIFunctions = new GenAIModel(library, folder, Overlay(null));
        using var genAIKernels = new GenAIModel(library, folder, Overlay(CustomOps.FileName));
        using GenAIGenerator genAI = Start(genAIFunctions);
        using GenAIGenerator genAIWithKernels = Start(genAIKernels);
        IAsyncEnumerator<GeneratedToken> ours = Tokens(kernelSession);
        IAsyncEnumerator<GeneratedToken> oursOfFunctions = Tokens(functionSession);

        double[] medians =
        [
            .. Turns
                .Medians(
                    Runs,
                    WarmUps,
                    pause: 50,
                    _ => Pull(ours),
                    _ => Pull(genAIWithKernels),
                    _ => Pull(oursOfFunctions),
                    _ => Pull(genAI)
                )
                .Select(milliseconds => milliseconds / TokensOfRun),
        ];
        return new JsonObject
        {
            ["round"] = round,
            ["threads"] = threads is { } both
                ? both
                : $"default: bamba_onnx {ProcessorCores.Available}, genai {GenAIDefaultThreads}",
            ["with_native_library"] = Pair(medians[0], medians[1]),
            ["with_functions"] = Pair(medians[2], medians[3]),
        };

        BambaRuntime Load(CustomOps ops) =>
            BambaRuntime.Load(folder, new BambaRuntimeOptions { CustomOps = ops, Threads = threads });

        string Overlay(string? ops)
        {
            var session = new JsonObject();
            if (threads is { } both)
            {
                session["intra_op_num_threads"] = both;
            }
            if (ops is not null)
            {
                session["custom_ops_library"] = ops;
            }
            return new JsonObject
            {
                ["model"] = new JsonObject { ["decoder"] = new JsonObject { ["session_options"] = session } },
            }.ToJsonString();
        }
    }

    private static JsonObject Pair(double ours, double genAI) =>
        new()
        {
            ["bamba_onnx"] = Math.Round(ours, 4),
            ["genai"] = Math.Round(genAI, 4),
            ["genai_over_bamba_onnx"] = Math.Round(genAI / ours, 3),
        };

    private static GenAIGenerator Start(GenAIModel model)
    {
        GenAIGenerator generator = model.Start(("max_length", ContextLength));
        generator.Append(Prompt);
        return generator;
    }

    private static void Pull(GenAIGenerator generator)
    {
        for (int i = 0; i < TokensOfRun; i++)
        {
            generator.Next();
        }
    }

    private static IAsyncEnumerator<GeneratedToken> Tokens(BambaSession session)
    {
        var options = new GenerationOptions
        {
            MaxNewTokens = ContextLength - Prompt.Length,
            Sampling = SamplingOptions.Greedy,
            EosTokenIds = [],
        };
        ReadOnlyMemory<int>[] prompt = [Prompt];
        return session.GenerateTokensAsync(prompt, options).GetAsyncEnumerator();
    }

    private static void Pull(IAsyncEnumerator<GeneratedToken> tokens)
    {
        for (int i = 0; i < TokensOfRun; i++)
        {
            if (!tokens.MoveNextAsync().AsTask().GetAwaiter().GetResult())
            {
                throw new InvalidOperationException("the stream ended early");
            }
        }
    }
}
