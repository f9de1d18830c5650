namespace Bamba.Onnx.Chat;

/// <summary>How a conversation is held.</summary>
public sealed record ChatOptions
{
    /// <summary>How it is written for the model; null for the format of the model folder's template.</summary>
    public ChatFormat? Format { get; init; }

    /// <summary>What the model is told before the first turn; null for nothing.</summary>
    public string? SystemPrompt { get; init; }

    /// <summary>Most tokens of the conversation; null for the most that the model takes.</summary>
    public int? ContextLength { get; init; }

    /// <summary>
    /// Turns whose taking back costs nothing, because the state before them is kept: as many copies of the model's caches.
    /// Earlier turns are taken back by taking the conversation up to them again.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int KeptStates
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    } = 8;
}
