using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// The scores of each row's next token: where the graph writes them, and where the processor reads them. A device's scores are
/// copied when somebody asks for them, a row at a time, and not before.
/// </summary>
internal sealed unsafe class LogitsBuffer : IDisposable
{
    private const long None = -1;

    private readonly MemorySpace space;
    private readonly MemoryBlock memory;
    private readonly int vocabSize;
    private readonly bool everyPosition;
    private readonly long rowStride;
    private readonly long[] start;
    private readonly bool[] copied;
    private StagingMemory? copies;

    /// <param name="space">The graph's memory.</param>
    /// <param name="vocabSize">Scores a position.</param>
    /// <param name="everyPosition">Whether the graph writes those of every position of a call.</param>
    /// <param name="batchSize">Rows.</param>
    /// <param name="longestCall">Most tokens of a row in one call.</param>
    public LogitsBuffer(MemorySpace space, int vocabSize, bool everyPosition, int batchSize, int longestCall)
    {
        this.space = space;
        this.vocabSize = vocabSize;
        this.everyPosition = everyPosition;
        rowStride = (long)Positions(longestCall) * vocabSize;
        start = new long[batchSize];
        copied = new bool[batchSize];
        Forget(0, batchSize);
        memory = space.Allocate(batchSize * rowStride * sizeof(float));
    }

    /// <summary>Where rows of a call write their scores, [rows, positions, vocab_size]; rows that run apart never share a place.</summary>
    public OrtValue View(int firstRow, int rows, int length) =>
        memory.View(firstRow * rowStride * sizeof(float), ElementType.Float32, rows, Positions(length), vocabSize);

    /// <summary>Where the graph writes row 0's, on a device too.</summary>
    public nint Address => memory.Address;

    /// <summary>Whether the graph writes the scores of every position of a call.</summary>
    public bool IsOfEveryPosition => everyPosition;

    /// <summary>Checks that each row's scores are where a step of all rows writes them.</summary>
    public void RequireInPlace(ReadOnlySpan<bool> resting)
    {
        for (int row = 0; row < start.Length; row++)
        {
            if (!resting[row] && start[row] != row * rowStride)
            {
                throw new InvalidOperationException($"expected scores in every row, found none in row {row}");
            }
        }
    }

    /// <summary>Says that rows have no scores.</summary>
    public void Forget(int firstRow, int rows) => start.AsSpan(firstRow, rows).Fill(None);

    /// <summary>Says that a call of rows from <paramref name="firstRow"/> on wrote those of a row's last token.</summary>
    public void Written(int firstRow, int row, int length, int lastPosition)
    {
        int positions = Positions(length);
        long position = ((long)(row - firstRow) * positions) + (positions == 1 ? 0 : lastPosition);
        start[row] = (firstRow * rowStride) + (position * vocabSize);
        copied[row] = false;
    }

    /// <summary>The scores of a row's next token, [vocab_size]; empty where its last call left none.</summary>
    public ReadOnlySpan<float> Row(int row)
    {
        if (start[row] == None)
        {
            return [];
        }
        long offset = start[row] * sizeof(float);
        long bytes = (long)vocabSize * sizeof(float);
        copies ??= space.AllocateStaging(start.Length * bytes);
        if (copies is null)
        {
            return new ReadOnlySpan<float>((void*)(memory.Address + (nint)offset), vocabSize);
        }
        var copy = new Span<float>((void*)(copies.Address + (nint)(row * bytes)), vocabSize);
        if (!copied[row])
        {
            memory.Read(new Region(offset, bytes), MemoryMarshal.AsBytes(copy));
            copied[row] = true;
        }
        return copy;
    }

    /// <summary>Gives a row scores that no call made.</summary>
    public void Set(int row, ReadOnlySpan<float> scores)
    {
        memory.Write(
            new Region(row * rowStride * sizeof(float), (long)vocabSize * sizeof(float)),
            MemoryMarshal.AsBytes(scores)
        );
        start[row] = row * rowStride;
        copied[row] = false;
    }

    /// <summary>Gives each row what another has.</summary>
    /// <param name="sourceRows">For each row the row that it becomes.</param>
    public void Reorder(ReadOnlySpan<int> sourceRows)
    {
        // As everywhere else a row may be source and target at once; there are few scores, so that all go through a copy.
        float[]?[] scores =
        [
            .. sourceRows.ToArray().Select(source => Row(source) is { IsEmpty: false } row ? row.ToArray() : null),
        ];
        for (int row = 0; row < scores.Length; row++)
        {
            if (sourceRows[row] == row)
            {
                continue;
            }
            if (scores[row] is { } moved)
            {
                Set(row, moved);
            }
            else
            {
                Forget(row, 1);
            }
        }
    }

    /// <summary>Gives a row what a row of another buffer has, or none where that has none.</summary>
    public void CopyFrom(LogitsBuffer source, int sourceRow, int row)
    {
        if (source.start[sourceRow] == None)
        {
            start[row] = None;
            return;
        }
        long bytes = (long)vocabSize * sizeof(float);
        source.memory.CopyTo(
            memory,
            new Region(source.start[sourceRow] * sizeof(float), bytes),
            new Region(row * rowStride * sizeof(float), bytes)
        );
        start[row] = row * rowStride;
        copied[row] = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        memory.Dispose();
        copies?.Dispose();
    }

    private int Positions(int length) => everyPosition ? length : 1;
}
