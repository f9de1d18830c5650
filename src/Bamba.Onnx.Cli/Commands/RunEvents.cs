using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>What <c>run --json</c> writes: an object a line, in the order start, token…, end.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(StartEvent), "start")]
[JsonDerivedType(typeof(TokenEvent), "token")]
[JsonDerivedType(typeof(EndEvent), "end")]
internal abstract record RunEvent
{
    private static readonly RunEventJson Json = new(
        new JsonSerializerOptions(RunEventJson.Default.Options)
        {
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }
    );

    public string ToJson() => JsonSerializer.Serialize(this, Json.RunEvent);
}

/// <param name="Model">The model folder.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="Seed">What repeats the text.</param>
internal sealed record StartEvent(string Model, int PromptTokens, ulong? Seed) : RunEvent;

/// <param name="Id">The token.</param>
/// <param name="Text">The text that came out with it.</param>
/// <param name="LogProbability">Its own, where that was asked for.</param>
/// <param name="Alternatives">The likeliest tokens, where that was asked for.</param>
internal sealed record TokenEvent(
    int Id,
    string Text,
    double? LogProbability,
    ImmutableArray<TokenLogProbability>? Alternatives
) : RunEvent
{
    public static TokenEvent Of(GeneratedToken token) =>
        new(token.Id, token.Text, token.LogProbabilities?.Chosen.LogProbability, token.LogProbabilities?.Alternatives);
}

/// <param name="Text">The whole continuation.</param>
/// <param name="FinishReason">Why it ended; null where no token was asked for.</param>
/// <param name="GeneratedTokens">Its tokens.</param>
/// <param name="FirstTokenSeconds">From the start to the first token: the prompt's time.</param>
/// <param name="TokensPerSecond">Of the tokens after the first; null where there are none.</param>
internal sealed record EndEvent(
    string Text,
    FinishReason? FinishReason,
    int GeneratedTokens,
    double FirstTokenSeconds,
    double? TokensPerSecond
) : RunEvent;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(FinishReasonJsonConverter)]
)]
[JsonSerializable(typeof(RunEvent))]
internal sealed partial class RunEventJson : JsonSerializerContext;

internal sealed class FinishReasonJsonConverter()
    : JsonStringEnumConverter<FinishReason>(JsonNamingPolicy.SnakeCaseLower);
