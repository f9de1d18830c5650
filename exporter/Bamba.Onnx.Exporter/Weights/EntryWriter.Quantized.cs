using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Weights;

/// <content>Quantized matrices: rows become codes, scales and zero points, each of which goes to a place of its own.</content>
internal sealed partial class EntryWriter
{
    private void WriteQuantized(WeightEntry codes, QuantizedRows rows)
    {
        int columns = (int)rows.Columns;
        var quantizer = new RowQuantizer(rows.Format, rows.Scales.Type, columns, quantization.ChannelsOf(rows));
        var error = new QuantizationError();
        // What becomes of a row, filled up to whole groups, takes less than the row.
        int tileRows = tileBytes / (quantizer.Groups * rows.Format.GroupSize * sizeof(float));
        long rowsBefore = 0;
        foreach (string name in rows.Tensors)
        {
            CheckpointTensor tensor = checkpoint.Tensors[name];
            using TensorDigest? digest = digests.Begin(name);
            ForEachTile(
                tensor.Shape[0],
                tileRows,
                (row, count) =>
                    error += WriteQuantizedTile(
                        quantizer,
                        (codes, rows),
                        (tensor, digest),
                        row,
                        count,
                        rowsBefore + row
                    )
            );
            digest?.Complete();
            rowsBefore += tensor.Shape[0];
        }
        quantization.Add(rows, error);
    }

    private QuantizationError WriteQuantizedTile(
        RowQuantizer quantizer,
        (WeightEntry Codes, QuantizedRows Rows) target,
        (CheckpointTensor Tensor, TensorDigest? Digest) source,
        long row,
        int count,
        long targetRow
    )
    {
        int columns = (int)target.Rows.Columns;
        int size = source.Tensor.Type.SizeInBytes();
        Span<byte> tile = ReadTile(source.Tensor, source.Digest, row * columns * size, count * columns * size);
        tile = ConvertTile(tile, source.Tensor, row * columns, ElementType.Float32);
        ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(tile);

        Part codes = new(target.Codes, targetRow, count);
        Part scales = new(target.Rows.Scales, targetRow, count);
        Part? zeroPoints = target.Rows.ZeroPoints is { } entry ? new Part(entry, targetRow, count) : null;
        Span<byte> room = buffers.Beside(tile, codes.Bytes + scales.Bytes + (zeroPoints?.Bytes ?? 0));
        Span<byte> codesRoom = room[..codes.Bytes];
        Span<byte> scalesRoom = room.Slice(codes.Bytes, scales.Bytes);
        Span<byte> zeroPointsRoom = room[(codes.Bytes + scales.Bytes)..];
        var error = new QuantizationError();
        for (int i = 0; i < count; i++)
        {
            try
            {
                error += quantizer.Quantize(
                    values.Slice(i * columns, columns),
                    codes.Row(codesRoom, i),
                    scales.Row(scalesRoom, i),
                    zeroPoints is { } part ? part.Row(zeroPointsRoom, i) : []
                );
            }
            catch (UnquantizableException e)
            {
                throw WeightProblem.At(source.Tensor, ((row + i) * columns) + e.Column, e.Problem);
            }
        }
        Write(codes, codesRoom);
        Write(scales, scalesRoom);
        if (zeroPoints is { } last)
        {
            Write(last, zeroPointsRoom);
        }
        return error;
    }

    private void Write(Part part, ReadOnlySpan<byte> bytes)
    {
        if (!files.Has(part.Entry))
        {
            return;
        }
        files.Write(part.Entry, part.Position, bytes);
        progress.Add(bytes.Length);
    }

    /// <summary>Some rows of an entry.</summary>
    private readonly struct Part(WeightEntry entry, long row, int count)
    {
        private readonly int rowBytes = (int)(entry.Bytes / entry.Shape[0]);

        public WeightEntry Entry => entry;

        public int Bytes => rowBytes * count;

        public long Position => row * rowBytes;

        public Span<byte> Row(Span<byte> room, int index) => room.Slice(index * rowBytes, rowBytes);
    }
}
