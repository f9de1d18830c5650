using System.Collections.Immutable;
using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.SyntheticWeights;

/// <summary>An initializer whose bytes lie in a weights file.</summary>
/// <param name="Name">Its name in the graphs.</param>
/// <param name="Type">Its element type: floating point, or bytes of quantized codes.</param>
/// <param name="Shape">Its sizes, outermost first.</param>
/// <param name="File">The file.</param>
/// <param name="Offset">Where its bytes start in the file.</param>
/// <param name="Bytes">Its size, row-major without gaps.</param>
internal sealed record ExternalTensor(
    string Name,
    ElementType Type,
    ImmutableArray<long> Shape,
    string File,
    long Offset,
    long Bytes
)
{
    /// <summary>Where its bytes end in the file.</summary>
    public long End => Offset + Bytes;

    private static readonly ElementType[] Types =
    [
        ElementType.Float32,
        ElementType.Float16,
        ElementType.BFloat16,
        ElementType.UInt8,
    ];

    /// <summary>
    /// The tensors of all graphs of a model folder, file by file in the order of their bytes, each once, even where it has several
    /// names.
    /// </summary>
    /// <exception cref="BambaFormatException">A graph is damaged or contradicts another, or tensors overlap.</exception>
    public static ImmutableArray<ExternalTensor> OfFolder(string folder, ExportLayout layout)
    {
        var byName = new Dictionary<string, ExternalTensor>();
        foreach (GraphProfile profile in layout.Profiles)
        {
            string path = Path.Combine(folder, layout.Graph(profile));
            using FileStream stream = System.IO.File.OpenRead(path);
            foreach (TensorProto proto in ModelProto.Parser.ParseFrom(stream).Graph.Initializer)
            {
                if (proto.DataLocation != TensorProto.Types.DataLocation.External)
                {
                    continue;
                }
                ExternalTensor tensor = Of(proto, path, layout.WeightsSeenFrom(profile));
                ExternalTensor known = byName.GetValueOrDefault(tensor.Name, tensor);
                if (known.Place != tensor.Place || known.Type != tensor.Type)
                {
                    throw new BambaFormatException(path, $"{tensor.Name} lies elsewhere in another graph");
                }
                byName[tensor.Name] = tensor;
            }
        }
        ImmutableArray<ExternalTensor> tensors =
        [
            .. byName
                .Values.DistinctBy(tensor => (tensor.Place, tensor.Type))
                .OrderBy(tensor => tensor.File, StringComparer.Ordinal)
                .ThenBy(tensor => tensor.Offset),
        ];
        foreach ((ExternalTensor before, ExternalTensor tensor) in tensors.Zip(tensors.Skip(1)))
        {
            if (before.File == tensor.File && tensor.Offset < before.End)
            {
                throw new BambaFormatException(folder, $"{tensor.Name} starts at {tensor.Offset}, before {before.End}");
            }
        }
        return tensors;
    }

    private (string, long, long) Place => (File, Offset, Bytes);

    private static ExternalTensor Of(TensorProto proto, string graph, string weights)
    {
        ElementType type = Types.FirstOrDefault(type => (int)type.ToOnnx() == proto.DataType, ElementType.Int64);
        if (type == ElementType.Int64)
        {
            throw new BambaFormatException(
                graph,
                $"{proto.Name}: expected floating point or bytes, found type {proto.DataType}"
            );
        }
        long bytes = proto.Dims.Aggregate((long)type.SizeInBytes(), (product, size) => product * size);
        if (Entry(proto, "location") is not { } file || !ModelFiles.IsWeights(file, weights))
        {
            throw new BambaFormatException(graph, $"{proto.Name}: expected it in {weights}");
        }
        if (Number(proto, "length", graph) != bytes)
        {
            throw new BambaFormatException(graph, $"{proto.Name}: expected {bytes} bytes of its shape");
        }
        return new ExternalTensor(proto.Name, type, [.. proto.Dims], file, Number(proto, "offset", graph), bytes);
    }

    private static long Number(TensorProto proto, string key, string graph) =>
        long.TryParse(Entry(proto, key), CultureInfo.InvariantCulture, out long number)
            ? number
            : throw new BambaFormatException(graph, $"{proto.Name}: expected a number as {key}");

    private static string? Entry(TensorProto proto, string key) =>
        proto.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;
}
