using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>How much a model differs from a reference on a text. Every "error" is a standard error.</summary>
internal sealed record QualityReport
{
    // Versions hold a plus, and names of files may hold anything.
    private static readonly QualityJson Json = new(
        new JsonSerializerOptions(QualityJson.Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }
    );

    public required string BambaOnnxVersion { get; init; }
    public required string OnnxruntimeVersion { get; init; }
    public required QualityModel Reference { get; init; }
    public required QualityModel Model { get; init; }

    /// <summary>The model's perplexity over the reference's.</summary>
    public required double PerplexityRatio { get; init; }
    public required double PerplexityRatioError { get; init; }

    /// <summary>The mean KL divergence from the reference's distributions to the model's, nats a token.</summary>
    public required double MeanKl { get; init; }
    public required double MeanKlError { get; init; }

    /// <summary>What 99 % of the positions' divergences do not exceed.</summary>
    public required double KlP99 { get; init; }
    public required double MaxKl { get; init; }

    /// <summary>The share of positions at which both hold the same token for the likeliest.</summary>
    public required double TopAgreement { get; init; }

    /// <summary>The name of the text's file.</summary>
    public required string Text { get; init; }

    /// <summary>Tokens scored.</summary>
    public required int Tokens { get; init; }
    public required int Windows { get; init; }

    /// <summary>Tokens of a window.</summary>
    public required int Window { get; init; }

    /// <summary>Seconds in all, loading included.</summary>
    public required double Seconds { get; init; }
    public required QualityEnd EndedBy { get; init; }

    public string ToJson() => JsonSerializer.Serialize(this, Json.QualityReport);

    /// <summary>e to a power, but no infinity, which JSON does not have: a ruined model may be that bad.</summary>
    public static double Exp(double power) => Math.Min(Math.Exp(power), double.MaxValue);
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(QualityReport))]
internal sealed partial class QualityJson : JsonSerializerContext;
