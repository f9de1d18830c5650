using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.SyntheticCheckpoint;

/// <summary>
/// Values as a fresh model has them: matrices normal around zero, norms and D one, biases zero, A_log the logarithms of
/// 1 to H, and dt_bias such that softplus gives steps between 0.001 and 0.1, as in Mamba's own initialisation.
/// </summary>
/// <remarks>
/// Normal values are drawn once, into a block of a few megabytes. A large tensor is a row of stretches of that block, each
/// from another place, so that no two tensors agree and writing costs little more than the disk.
/// </remarks>
internal sealed class SyntheticValues
{
    private const int BlockElements = 1 << 20;

    private readonly BambaConfig config;
    private readonly ElementType type;
    private readonly ulong seed;
    private readonly byte[] block;

    public SyntheticValues(BambaConfig config, ElementType type, ulong seed)
    {
        this.config = config;
        this.type = type;
        this.seed = seed;
        var random = SeededValues.RandomOf(seed, "normal block");
        double deviation = config.InitializerRange;
        block = Encode(BlockElements, _ => deviation * SeededValues.Normal(random));
    }

    /// <summary>Writes all values of a tensor.</summary>
    public void Write(SafetensorsWriter writer, SafetensorsTensor tensor)
    {
        string parameter = tensor.Name[(tensor.Name.LastIndexOf('.') + 1)..];
        if (parameter is "A_log")
        {
            WriteAll(head => Math.Log(head + 1));
        }
        else if (parameter is "dt_bias")
        {
            Random random = SeededValues.RandomOf(seed, tensor.Name);
            WriteAll(_ => SeededValues.TimeStepBias(random));
        }
        else if (parameter is "D" || tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal))
        {
            WriteAll(_ => 1);
        }
        else if (parameter is not "bias")
        {
            WriteNormal(writer, tensor);
            ClearPaddingRow(writer, tensor);
        }

        void WriteAll(Func<long, double> value) =>
            writer.Write(tensor, 0, Encode((int)(tensor.Bytes / type.SizeInBytes()), value));
    }

    private void WriteNormal(SafetensorsWriter writer, SafetensorsTensor tensor)
    {
        Random random = SeededValues.RandomOf(seed, tensor.Name);
        int size = type.SizeInBytes();
        for (long offset = 0; offset < tensor.Bytes; )
        {
            int start = random.Next(BlockElements / 2) * size;
            int length = (int)Math.Min(tensor.Bytes - offset, block.Length - start);
            writer.Write(tensor, offset, block.AsSpan(start, length));
            offset += length;
        }
    }

    private void ClearPaddingRow(SafetensorsWriter writer, SafetensorsTensor tensor)
    {
        if (tensor.Name == BambaTensors.Embedding && config.PadTokenId is { } row && row < config.VocabSize)
        {
            byte[] zeros = new byte[config.HiddenSize * type.SizeInBytes()];
            writer.Write(tensor, (long)row * zeros.Length, zeros);
        }
    }

    private byte[] Encode(int count, Func<long, double> value)
    {
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)value(i);
        }
        byte[] bytes = new byte[count * type.SizeInBytes()];
        ElementConversion.TryConvert(MemoryMarshal.AsBytes<float>(values), ElementType.Float32, bytes, type, out _);
        return bytes;
    }
}
