using System.Globalization;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>What every host has to write: the greedy continuations that Hugging Face computes for the small real model.</summary>
internal static class Reference
{
    /// <summary>Tokens of each continuation.</summary>
    public const int Count = 48;

    private static readonly Lazy<IReadOnlyList<ReferencePrompt>> Read = new(ReadAll);

    /// <summary>The prompts.</summary>
    public static IReadOnlyList<ReferencePrompt> Prompts => Read.Value;

    /// <summary>The model in float32 with a graph of every profile.</summary>
    public static string Model =>
        ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Profiles = EveryProfile });

    /// <summary>The same with its weights in three files.</summary>
    public static string SplitModel =>
        ExportedModels.Of(
            TestData.TinyShakespeare,
            new ExportOptions { Profiles = EveryProfile, MaxShardBytes = 8_000_000 }
        );

    // One array, so that tests ask for one export.
    private static readonly GraphProfile[] EveryProfile = Enum.GetValues<GraphProfile>();

    /// <summary>The ids of the prompts, a line each.</summary>
    public static string PromptLines => string.Concat(Prompts.Select(prompt => $"{Line(prompt.Ids)}\n"));

    /// <summary>The tokens of the continuations, a line each.</summary>
    public static string TokenLines => string.Concat(Prompts.Select(prompt => $"{Line(prompt.Tokens)}\n"));

    /// <summary>Ids as hosts read and write them.</summary>
    public static string Line(IEnumerable<int> ids) =>
        string.Join(' ', ids.Select(id => id.ToString(CultureInfo.InvariantCulture)));

    private static IReadOnlyList<ReferencePrompt> ReadAll()
    {
        using SafetensorsValues values = ReferenceData.OfTinyShakespeare();
        using JsonDocument texts = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(TestData.TinyShakespeare, "expected.json"))
        );
        return
        [
            .. Enumerable
                .Range(0, 5)
                .Select(i => new ReferencePrompt(
                    Text(i, "prompt"),
                    Array.ConvertAll(values.Rows($"{i}.input_ids")[0], id => (int)id),
                    Text(i, "text"),
                    Array.ConvertAll(values.Rows($"{i}.tokens")[0], id => (int)id)
                )),
        ];

        string Text(int prompt, string key) =>
            texts.RootElement.GetProperty(prompt.ToString(CultureInfo.InvariantCulture)).GetProperty(key).GetString()!;
    }
}

/// <summary>A prompt and its greedy continuation, as text and as tokens.</summary>
internal sealed record ReferencePrompt(string Text, int[] Ids, string Continuation, int[] Tokens);
