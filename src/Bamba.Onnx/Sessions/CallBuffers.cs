using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices;

namespace Bamba.Onnx.Sessions;

/// <summary>What a call reads and writes besides caches, allocated once for the longest call of a session.</summary>
internal sealed class CallBuffers : IDisposable
{
    private readonly Disposables owned = new();

    /// <param name="space">The graph's memory.</param>
    /// <param name="signature">The graph's signature, which says how many positions have logits.</param>
    /// <param name="vocabSize">Logits a position.</param>
    /// <param name="batchSize">Rows.</param>
    /// <param name="longestCall">Most tokens of a row in one call.</param>
    public CallBuffers(MemorySpace space, GraphSignature signature, int vocabSize, int batchSize, int longestCall)
    {
        bool everyPosition = signature.Results[0].Axes[1].Symbol is not null;
        try
        {
            int tokens = checked(batchSize * longestCall);
            Tokens = owned.Add(new MirroredBuffer<long>(space, ElementType.Int64, tokens));
            PastLens = owned.Add(new MirroredBuffer<int>(space, ElementType.Int32, batchSize));
            SeqLens = owned.Add(new MirroredBuffer<int>(space, ElementType.Int32, batchSize));
            Logits = owned.Add(new LogitsBuffer(space, vocabSize, everyPosition, batchSize, longestCall));
        }
        catch
        {
            owned.Dispose();
            throw;
        }
    }

    /// <summary>[rows, length] of the current call, from the front.</summary>
    public MirroredBuffer<long> Tokens { get; }

    /// <summary>[batch]: tokens in each row's caches.</summary>
    public MirroredBuffer<int> PastLens { get; }

    /// <summary>[batch]: tokens of each row in the current call.</summary>
    public MirroredBuffer<int> SeqLens { get; }

    /// <summary>The scores of each row's next token.</summary>
    public LogitsBuffer Logits { get; }

    /// <summary>Lets the graph see what was staged for a call of consecutive rows.</summary>
    public void Upload(int firstRow, int rows, int length)
    {
        Tokens.Upload(0, rows * length);
        PastLens.Upload(firstRow, rows);
        SeqLens.Upload(firstRow, rows);
    }

    /// <inheritdoc/>
    public void Dispose() => owned.Dispose();
}
