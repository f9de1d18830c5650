using Bamba.Onnx.Contract;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>What a call reads and writes besides caches, allocated once for the longest call of a session.</summary>
internal sealed class CallBuffers : IDisposable
{
    private readonly int vocabSize;
    private readonly bool logitsOfEveryPosition;
    private readonly int rowStride;

    /// <param name="signature">The graph's signature, which says how many positions have logits.</param>
    /// <param name="vocabSize">Logits a position.</param>
    /// <param name="batchSize">Rows.</param>
    /// <param name="longestCall">Most tokens of a row in one call.</param>
    public CallBuffers(GraphSignature signature, int vocabSize, int batchSize, int longestCall)
    {
        this.vocabSize = vocabSize;
        logitsOfEveryPosition = signature.Results[0].Axes[1].Symbol is not null;
        rowStride = checked(Positions(longestCall) * vocabSize);
        Tokens = new NativeBuffer<long>(ElementType.Int64, checked(batchSize * longestCall));
        PastLens = new NativeBuffer<int>(ElementType.Int32, batchSize);
        SeqLens = new NativeBuffer<int>(ElementType.Int32, batchSize);
        Logits = new NativeBuffer<float>(ElementType.Float32, checked(batchSize * rowStride));
        PastLens.Span.Clear();
        SeqLens.Span.Clear();
    }

    /// <summary>[rows, length] of the current call, from the front.</summary>
    public NativeBuffer<long> Tokens { get; }

    /// <summary>[batch]: tokens in each row's caches.</summary>
    public NativeBuffer<int> PastLens { get; }

    /// <summary>[batch]: tokens of each row in the current call.</summary>
    public NativeBuffer<int> SeqLens { get; }

    /// <summary>Logits by row: that of the last token, or those of every token of the call.</summary>
    public NativeBuffer<float> Logits { get; }

    /// <summary>Where rows of a call write their logits; rows that run apart never share a place.</summary>
    public OrtValue LogitsOf(int firstRow, int rows, int length) =>
        Logits.View(firstRow * rowStride, rows, Positions(length), vocabSize);

    /// <summary>Where a row's logits start when they were brought from elsewhere and no call made them.</summary>
    public int RestoredLogits(int row) => row * rowStride;

    /// <summary>Where the logits of a row's last token start, after a call of rows from <paramref name="firstRow"/> on.</summary>
    public int LastLogits(int firstRow, int row, int length)
    {
        int positions = Positions(length);
        int last = positions == 1 ? 0 : SeqLens.Span[row] - 1;
        return (firstRow * rowStride) + ((((row - firstRow) * positions) + last) * vocabSize);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tokens.Dispose();
        PastLens.Dispose();
        SeqLens.Dispose();
        Logits.Dispose();
    }

    private int Positions(int length) => logitsOfEveryPosition ? length : 1;
}
