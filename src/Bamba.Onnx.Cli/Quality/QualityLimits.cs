namespace Bamba.Onnx.Cli.Quality;

/// <summary>How much of a text is compared.</summary>
internal sealed record QualityLimits
{
    /// <summary>Tokens scored at most.</summary>
    public int Tokens { get; init; } = 4096;

    /// <summary>Tokens that are read together, from an empty past.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Time spent at most, but for the first piece of the text, which is scored however long it takes.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromMinutes(10);
}
