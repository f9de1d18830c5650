using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Graph;

/// <summary>Builds an ONNX model: signature, nodes, functions and references to weights outside the file.</summary>
public sealed class ModelBuilder
{
    /// <summary>The file format's version: the one that came with opset 21.</summary>
    public const int IrVersion = 10;

    private readonly ModelProto model;
    private readonly HashSet<string> initializers = [];
    private readonly HashSet<string> functions = [];

    /// <summary>Starts a model.</summary>
    /// <param name="name">The graph's name.</param>
    /// <param name="producer">The program that writes it, and its version.</param>
    /// <param name="signature">Its inputs and outputs.</param>
    public ModelBuilder(string name, (string Name, string Version) producer, GraphSignature signature)
    {
        ArgumentNullException.ThrowIfNull(signature);
        model = new ModelProto
        {
            IrVersion = IrVersion,
            ProducerName = producer.Name,
            ProducerVersion = producer.Version,
            Graph = new GraphProto { Name = name },
        };
        Import("", StandardOps.Opset);
        model.Graph.Input.AddRange(signature.Inputs.Select(TensorTypes.ToValueInfo));
        model.Graph.Output.AddRange(signature.Outputs.Select(TensorTypes.ToValueInfo));
        Nodes = new NodeBuilder(model.Graph.Node);
    }

    /// <summary>Appends the graph's nodes.</summary>
    public NodeBuilder Nodes { get; }

    /// <summary>Declares a domain whose operators the graph uses.</summary>
    public void Import(string domain, int version)
    {
        if (model.OpsetImport.All(import => import.Domain != domain))
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        }
    }

    /// <summary>Adds a function the first time its name is given.</summary>
    /// <param name="domain">Its domain, which is imported.</param>
    /// <param name="name">Its name.</param>
    /// <param name="build">Makes it.</param>
    public void Function(string domain, string name, Func<FunctionProto> build)
    {
        ArgumentNullException.ThrowIfNull(build);
        if (functions.Add($"{domain}::{name}"))
        {
            Import(domain, Mamba2ChunkScanOp.Version);
            model.Functions.Add(build());
        }
    }

    /// <summary>Refers to a tensor in another file, once a name.</summary>
    /// <param name="name">The initializer's name.</param>
    /// <param name="type">Its element type.</param>
    /// <param name="shape">Its sizes.</param>
    /// <param name="file">The file, relative to the model's folder.</param>
    /// <param name="offset">Where its bytes start.</param>
    /// <param name="bytes">How many there are.</param>
    public Value ExternalInitializer(
        string name,
        ElementType type,
        ReadOnlySpan<long> shape,
        string file,
        long offset,
        long bytes
    )
    {
        if (initializers.Add(name))
        {
            var tensor = new TensorProto
            {
                Name = name,
                DataType = (int)type.ToOnnx(),
                DataLocation = TensorProto.Types.DataLocation.External,
            };
            foreach (long size in shape)
            {
                tensor.Dims.Add(size);
            }
            tensor.ExternalData.Add(Entry("location", file));
            tensor.ExternalData.Add(
                Entry("offset", offset.ToString(System.Globalization.CultureInfo.InvariantCulture))
            );
            tensor.ExternalData.Add(Entry("length", bytes.ToString(System.Globalization.CultureInfo.InvariantCulture)));
            model.Graph.Initializer.Add(tensor);
        }
        return new Value(name);
    }

    /// <summary>The finished model.</summary>
    public ModelProto Build() => model;

    private static StringStringEntryProto Entry(string key, string value) => new() { Key = key, Value = value };
}
