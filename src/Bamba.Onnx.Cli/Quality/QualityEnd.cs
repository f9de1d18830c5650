using System.Text.Json;
using System.Text.Json.Serialization;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>What ended a comparison.</summary>
[JsonConverter(typeof(QualityEndConverter))]
internal enum QualityEnd
{
    /// <summary>As many tokens as were asked for are scored.</summary>
    Tokens,

    /// <summary>The text is.</summary>
    Text,

    /// <summary>The time was up.</summary>
    Seconds,
}

/// <summary>Names in the JSON's spelling.</summary>
internal sealed class QualityEndConverter() : JsonStringEnumConverter<QualityEnd>(JsonNamingPolicy.SnakeCaseLower);
