namespace Bamba.Onnx.Sessions;

/// <summary>
/// The scores of the next token, one row a sequence, where ONNX Runtime wrote them. They live until the session's next call.
/// </summary>
public readonly struct Logits : IEquatable<Logits>
{
    private readonly BambaSession session;
    private readonly int version;

    internal Logits(BambaSession session, int version, int vocabSize)
    {
        this.session = session;
        this.version = version;
        VocabSize = vocabSize;
    }

    /// <summary>Scores a row.</summary>
    public int VocabSize { get; }

    /// <summary>Rows.</summary>
    public int Rows => session.BatchSize;

    /// <summary>The scores of a row before temperature and softmax, [vocab_size] float32.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="row"/> is not a row of the session.</exception>
    /// <exception cref="InvalidOperationException">A later call of the session overwrote them, or the row took no token in the call.</exception>
    public ReadOnlySpan<float> Row(int row) => session.LogitsOf(row, version);

    /// <inheritdoc/>
    public bool Equals(Logits other) => ReferenceEquals(session, other.session) && version == other.version;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Logits other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => version;

    /// <summary>Whether both are scores of the same call.</summary>
    public static bool operator ==(Logits left, Logits right) => left.Equals(right);

    /// <summary>Whether they are scores of different calls.</summary>
    public static bool operator !=(Logits left, Logits right) => !left.Equals(right);
}
