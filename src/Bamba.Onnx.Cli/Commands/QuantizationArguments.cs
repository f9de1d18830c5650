using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>The options that say which matrices are stored in fewer bits, and how.</summary>
internal sealed class QuantizationArguments
{
    private const string AsActivations = "float";

    // As much text as AWQ's and GPTQ's authors took, in shorter windows.
    private const int WindowTokens = 512;
    private const int MostWindows = 32;

    private readonly Option<string> weights = Bits(
        "--weights",
        "Bits of the matrices: those of --dtype (float), or codes of 8 or 4 bits in groups with a scale each.",
        AsActivations
    );
    private readonly Option<string?> embedding = Bits<string?>("--embedding", "The same for the table of embeddings.");
    private readonly Option<string?> head = Bits<string?>(
        "--head",
        "The same for the output head, where it is not tied."
    );
    private readonly Option<int> groupSize = new Option<int>("--group-size")
    {
        Description = "Weights of a row that share a scale.",
        HelpName = "32|64|128",
        DefaultValueFactory = _ => 128,
    }.AcceptOnlyFromAmong("32", "64", "128");
    private readonly Option<string> zeroPoints = new Option<string>("--zero-points")
    {
        Description =
            "What stands for zero in a group: the middle code (none), a code of its own (integer), or a number as torchao has it (float).",
        DefaultValueFactory = _ => "none",
    }.AcceptOnlyFromAmong("none", "integer", "float");
    private readonly Option<string?> scales = new Option<string?>("--scales")
    {
        Description =
            "Element type of scales, and of float zero points: that of --dtype, or with --dtype f32 also f16, which saves half a bit a weight in groups of 32.",
    }.AcceptOnlyFromAmong("f32", "f16");
    private readonly Option<string> method = new Option<string>("--method")
    {
        Description =
            "Take scales from each group's extremes (nearest), search for those of least error (search), or of least error where --calibration's text makes inputs large (activation); or take extremes with half-quadratic zero points (hqq).",
        DefaultValueFactory = _ => "search",
    }.AcceptOnlyFromAmong("nearest", "search", "hqq", "activation");
    private readonly Option<string?> calibration = new("--calibration")
    {
        Description = "With --method activation: text such as the model will read, some pages of it.",
        HelpName = "FILE",
    };
    private readonly Option<string[]> keep = new("--keep")
    {
        Description = "Checkpoint tensors that stay as --dtype says, * for any characters; may be given again.",
        HelpName = "NAME",
        AllowMultipleArgumentsPerToken = false,
        DefaultValueFactory = _ => [],
    };

    private IEnumerable<Option> All =>
        [weights, groupSize, zeroPoints, scales, method, calibration, embedding, head, keep];

    public void AddTo(Command command)
    {
        foreach (Option option in All)
        {
            command.Add(option);
        }
        keep.CompletionSources.Clear();
        command.Validators.Add(result =>
        {
            bool activation = result.GetValue(method) == "activation" && result.GetValue(weights) != AsActivations;
            if (activation != (result.GetValue(calibration) is not null))
            {
                result.AddError("--calibration: expected a text with --method activation, and only then");
            }
        });
    }

    /// <summary>The first of these options that the user gave, null where all are at their defaults.</summary>
    public string? FirstGiven(ParseResult parsed) =>
        All.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false })?.Name;

    /// <summary>
    /// All that these options decide, so that two exports of one checkpoint that differ in any weight have two of them; null where
    /// nothing is quantized.
    /// </summary>
    /// <exception cref="BambaException">The text to measure activations on cannot be read.</exception>
    public string? Describe(ParseResult parsed)
    {
        if (Read(parsed) is not { } options)
        {
            return null;
        }
        string json = JsonSerializer.Serialize(options, QuantizationJson.Default.QuantizationOptions);
        return parsed.GetValue(calibration) is { } path
            ? $"{json} {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(TextFile.Read(path))))}"
            : json;
    }

    /// <summary>Looks whether the text can be read, before anything else is done.</summary>
    /// <exception cref="BambaException">There is no such file.</exception>
    public void RequireCalibration(ParseResult parsed) => TextFile.RequireReadable(parsed.GetValue(calibration));

    /// <summary>The text to measure activations on, as windows of tokens; null where none is needed.</summary>
    /// <param name="parsed">What was given.</param>
    /// <param name="checkpoint">The checkpoint's folder, which has the tokenizer.</param>
    /// <exception cref="BambaException">The text is shorter than one window.</exception>
    public IReadOnlyList<int[]>? ReadCalibration(ParseResult parsed, string checkpoint)
    {
        if (parsed.GetValue(calibration) is not { } path)
        {
            return null;
        }
        int[] tokens = BambaTokenizer.Load(checkpoint).Encode(TextFile.Read(path));
        int windows = Math.Min(tokens.Length / WindowTokens, MostWindows);
        return windows > 0
            ? [.. tokens.Chunk(WindowTokens).Take(windows)]
            : throw new BambaException(
                $"{path}: expected a text of at least {WindowTokens} tokens to see activations on, found {tokens.Length}"
            );
    }

    /// <summary>What was asked for; null where nothing is quantized.</summary>
    public QuantizationOptions? Read(ParseResult parsed)
    {
        string matrices = parsed.GetRequiredValue(weights);
        WeightQuantization? layers = FormatOf(parsed, matrices);
        WeightQuantization? rows = FormatOf(parsed, parsed.GetValue(embedding) ?? matrices);
        WeightQuantization? columns = FormatOf(parsed, parsed.GetValue(head) ?? matrices);
        return layers is null && rows is null && columns is null
            ? null
            : new QuantizationOptions
            {
                Layers = layers,
                Embedding = rows is null ? null : QuantizationOptions.ForLookup(rows),
                Head = columns,
                Keep = [.. parsed.GetRequiredValue(keep)],
            };
    }

    private WeightQuantization? FormatOf(ParseResult parsed, string bits) =>
        bits == AsActivations
            ? null
            : new WeightQuantization
            {
                Bits = bits == "int4" ? 4 : 8,
                GroupSize = parsed.GetRequiredValue(groupSize),
                ZeroPoints = Enum.Parse<ZeroPoints>(parsed.GetRequiredValue(zeroPoints), ignoreCase: true),
                Scales = ElementTypes.TryParse(parsed.GetValue(scales) ?? "", out ElementType type) ? type : null,
                Method = Enum.Parse<QuantizationMethod>(parsed.GetRequiredValue(method), ignoreCase: true),
            };

    private static Option<string> Bits(string name, string description, string preset)
    {
        Option<string> option = Bits<string>(name, description);
        option.DefaultValueFactory = _ => preset;
        return option;
    }

    private static Option<T> Bits<T>(string name, string description) =>
        new Option<T>(name) { Description = description }.AcceptOnlyFromAmong(AsActivations, "int8", "int4");
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true
)]
[JsonSerializable(typeof(QuantizationOptions))]
internal sealed partial class QuantizationJson : JsonSerializerContext;
