using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Writes entries of weights files one after the other, tile by tile through two buffers of its own. Every thread has its
/// own writer; they share the files and the checkpoint.
/// </summary>
internal sealed partial class EntryWriter : IDisposable
{
    private readonly CheckpointFolder checkpoint;
    private readonly ShardFiles files;
    private readonly SourceDigests digests;
    private readonly QuantizationRun quantization;
    private readonly ProgressCounter progress;
    private readonly CancellationToken cancellation;
    private readonly int tileBytes;
    private readonly TileBuffers buffers;

    public EntryWriter(
        CheckpointFolder checkpoint,
        ShardFiles files,
        SourceDigests digests,
        QuantizationRun quantization,
        ProgressCounter progress,
        int tileBytes,
        CancellationToken cancellation
    )
    {
        this.checkpoint = checkpoint;
        this.files = files;
        this.digests = digests;
        this.quantization = quantization;
        this.progress = progress;
        this.tileBytes = tileBytes;
        this.cancellation = cancellation;
        buffers = new TileBuffers(tileBytes);
    }

    public void Dispose() => buffers.Dispose();

    /// <summary>Writes one entry.</summary>
    /// <exception cref="BambaException">A value does not fit the entry's type, or the checkpoint became unreadable.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled between two tiles.</exception>
    public void Write(WeightEntry entry)
    {
        switch (entry.Source)
        {
            case WeightSource.Copy copy:
                WriteCopy(entry, copy.Tensors);
                break;
            case WeightSource.Transpose transpose:
                WriteTranspose(entry, transpose.Tensors);
                break;
            case WeightSource.Generated generated:
                WriteGenerated(entry, generated.Fill);
                break;
            case WeightSource.Quantized quantized:
                WriteQuantized(entry, quantized.Rows);
                break;
            case WeightSource.Accompanied:
                // Written with the codes.
                break;
        }
    }

    /// <summary>Reads a tensor that no entry has a use for, so that the hash of the checkpoint covers it.</summary>
    public void HashOnly(CheckpointTensor tensor)
    {
        using TensorDigest? digest = digests.Begin(tensor.Name);
        ForEachTile(tensor.Bytes, tileBytes, (start, length) => ReadTile(tensor, digest, start, length));
        digest?.Complete();
    }

    private void WriteCopy(WeightEntry entry, ImmutableArray<string> names)
    {
        long position = 0;
        foreach (string name in names)
        {
            CheckpointTensor tensor = checkpoint.Tensors[name];
            using TensorDigest? digest = digests.Begin(name);
            ForEachTile(
                TensorShape.Elements(tensor.Shape),
                TileElements(tensor.Type, entry.Type),
                (start, count) =>
                {
                    Span<byte> tile = ReadTile(
                        tensor,
                        digest,
                        start * tensor.Type.SizeInBytes(),
                        count * tensor.Type.SizeInBytes()
                    );
                    tile = ConvertTile(tile, tensor, start, entry.Type);
                    files.Write(entry, position, tile);
                    position += tile.Length;
                    progress.Add(tile.Length);
                }
            );
            digest?.Complete();
        }
    }

    private void WriteTranspose(WeightEntry entry, ImmutableArray<string> names)
    {
        long rowsBefore = 0;
        foreach (string name in names)
        {
            CheckpointTensor tensor = checkpoint.Tensors[name];
            using TensorDigest? digest = digests.Begin(name);
            (long rows, long columns) = (tensor.Shape[0], tensor.Shape[1]);
            int tileElements = TileElements(tensor.Type, entry.Type);
            int tileRows = TileRows(rows, columns, tileElements, entry.Type);
            ForEachTile(
                rows,
                tileRows,
                (row, rowCount) =>
                    // A tile is some whole rows, or part of a single row that is longer than a tile: contiguous both ways.
                    ForEachTile(
                        columns,
                        tileElements,
                        (column, columnCount) =>
                            WriteTransposedTile(
                                entry,
                                tensor,
                                digest,
                                (row * columns) + column,
                                (rowCount, columnCount),
                                (column, rowsBefore + row)
                            )
                    )
            );
            digest?.Complete();
            rowsBefore += rows;
        }
    }

    private void WriteTransposedTile(
        WeightEntry entry,
        CheckpointTensor tensor,
        TensorDigest? digest,
        long start,
        (int Rows, int Columns) tile,
        (long Row, long Column) target
    )
    {
        int size = tensor.Type.SizeInBytes();
        Span<byte> values = ReadTile(tensor, digest, start * size, tile.Rows * tile.Columns * size);
        values = ConvertTile(values, tensor, start, entry.Type);
        values = buffers.Transpose(values, tile.Rows, tile.Columns, entry.Type.SizeInBytes());

        int lineBytes = tile.Rows * entry.Type.SizeInBytes();
        long pitch = entry.Shape[1] * entry.Type.SizeInBytes();
        long position = (target.Row * pitch) + (target.Column * entry.Type.SizeInBytes());
        if (lineBytes == pitch)
        {
            files.Write(entry, position, values);
        }
        else
        {
            for (int line = 0; line < tile.Columns; line++)
            {
                files.Write(entry, position + (line * pitch), values.Slice(line * lineBytes, lineBytes));
            }
        }
        progress.Add(values.Length);
    }

    private void WriteGenerated(WeightEntry entry, FillRow fill)
    {
        if (entry.Bytes == 0)
        {
            return;
        }
        int rowLength = entry.Shape.IsEmpty ? 1 : (int)entry.Shape[^1];
        long rows = TensorShape.Elements(entry.Shape) / rowLength;
        long position = 0;
        ForEachTile(
            rows,
            TileElements(ElementType.Float32, entry.Type) / rowLength,
            (row, count) =>
            {
                cancellation.ThrowIfCancellationRequested();
                Span<byte> bytes = buffers.Start(count * rowLength * sizeof(float));
                Span<float> values = MemoryMarshal.Cast<byte, float>(bytes);
                for (int i = 0; i < count; i++)
                {
                    fill(row + i, values.Slice(i * rowLength, rowLength));
                }
                Span<byte> tile = buffers.Convert(bytes, ElementType.Float32, entry.Type, out int overflow);
                if (overflow >= 0)
                {
                    string problem = WeightOverflow.Describe(values[overflow], entry.Type);
                    throw new BambaException($"weight {entry.Name}, row {row + (overflow / rowLength)}: {problem}");
                }
                files.Write(entry, position, tile);
                position += tile.Length;
                progress.Add(tile.Length);
            }
        );
    }

    private Span<byte> ReadTile(CheckpointTensor tensor, TensorDigest? digest, long byteOffset, int byteCount)
    {
        cancellation.ThrowIfCancellationRequested();
        Span<byte> tile = buffers.Start(byteCount);
        checkpoint.Read(tensor.Name, byteOffset, tile);
        digest?.Append(tile);
        return tile;
    }

    private Span<byte> ConvertTile(Span<byte> tile, CheckpointTensor tensor, long start, ElementType type)
    {
        Span<byte> converted = buffers.Convert(tile, tensor.Type, type, out int overflow);
        return overflow < 0 ? converted : throw WeightOverflow.Error(tensor, start + overflow, tile, overflow, type);
    }

    private int TileElements(ElementType from, ElementType to) =>
        tileBytes / Math.Max(from.SizeInBytes(), to.SizeInBytes());

    private static int TileRows(long rows, long columns, int tileElements, ElementType type)
    {
        long fitting = Math.Max(1, tileElements / Math.Max(1, columns));
        if (fitting >= rows)
        {
            return (int)rows;
        }
        // Lines of the transposed tile that are a power of two long would all fall into the same few cache sets.
        int rowsPerCacheLine = WeightPlan.LineBytes / type.SizeInBytes();
        long cacheLines = fitting / rowsPerCacheLine;
        return (int)(cacheLines == 0 ? fitting : (cacheLines - 1 | 1) * rowsPerCacheLine);
    }

    private static void ForEachTile(long total, int length, Action<long, int> action)
    {
        for (long start = 0; start < total; start += length)
        {
            action(start, (int)Math.Min(length, total - start));
        }
    }
}
