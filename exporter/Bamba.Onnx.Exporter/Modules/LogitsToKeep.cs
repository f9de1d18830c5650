using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Which columns of a call get logits: Hugging Face's <c>logits_to_keep</c>.</summary>
public sealed record LogitsToKeep
{
    private readonly int? last;
    private readonly Tensor? indices;

    private LogitsToKeep(int? last, Tensor? indices)
    {
        this.last = last;
        this.indices = indices;
    }

    /// <summary>Every column.</summary>
    public static LogitsToKeep All { get; } = new(null, null);

    /// <summary>The last columns of the call, whether a row is padded there or not; all of a shorter call.</summary>
    /// <param name="count">How many, at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="count"/> is below 1.</exception>
    public static LogitsToKeep Last(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        return new(count, null);
    }

    /// <summary>The given columns.</summary>
    /// <param name="indices">Indices of columns, [kept] int64; borrowed.</param>
    /// <exception cref="ArgumentException"><paramref name="indices"/> is of another rank or type.</exception>
    public static LogitsToKeep At(Tensor indices)
    {
        ArgumentNullException.ThrowIfNull(indices);
        InputChecks.RequireInteger(indices, nameof(indices), 1);
        return new(null, indices);
    }

    internal bool IsAll => last is null && indices is null;

    /// <summary>[batch, tokens, hidden] to [batch, kept, hidden].</summary>
    internal Tensor Select(Tensor hidden)
    {
        if (indices is not null)
        {
            return hidden.index_select(1, indices);
        }
        long tokens = hidden.shape[1];
        long kept = Math.Min(last ?? tokens, tokens);
        return hidden.narrow(1, tokens - kept, kept);
    }
}
