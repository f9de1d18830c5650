using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Google.Protobuf;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>A graph of a folder beside the signature that it should have.</summary>
internal sealed class ContractGraph
{
    private ContractGraph(
        GraphProfile profile,
        string file,
        GraphSignature signature,
        ModelProto? model,
        string? problem
    )
    {
        Profile = profile;
        File = file;
        Signature = signature;
        Model = model;
        Problem = problem;
        Inputs = ByName(model?.Graph.Input);
        Outputs = ByName(model?.Graph.Output);
    }

    public GraphProfile Profile { get; }

    /// <summary>Its name in the folder, with <c>/</c> between folders.</summary>
    public string File { get; }

    public GraphSignature Signature { get; }

    /// <summary>What is in the file; null where it cannot be read.</summary>
    public ModelProto? Model { get; }

    /// <summary>Why the file cannot be read; null where it can.</summary>
    public string? Problem { get; }

    public IReadOnlyDictionary<string, ValueInfoProto> Inputs { get; }

    public IReadOnlyDictionary<string, ValueInfoProto> Outputs { get; }

    /// <summary>Each input and output of the signature beside the graph's own of that name, where there is one.</summary>
    public IEnumerable<(TensorSpec Wanted, ValueInfoProto Found)> Tensors =>
        [.. Pairs(Signature.Inputs, Inputs), .. Pairs(Signature.Outputs, Outputs)];

    public static ContractGraph Read(string folder, string file, GraphProfile profile, GraphSignature signature)
    {
        string path = Path.Combine(folder, file);
        if (!System.IO.File.Exists(path))
        {
            return new ContractGraph(profile, file, signature, null, "no such file");
        }
        try
        {
            var model = ModelProto.Parser.ParseFrom(System.IO.File.ReadAllBytes(path));
            return model.Graph is null
                ? new ContractGraph(profile, file, signature, null, "a file without a graph")
                : new ContractGraph(profile, file, signature, model, null);
        }
        catch (InvalidProtocolBufferException e)
        {
            return new ContractGraph(profile, file, signature, null, $"no ONNX file: {e.Message}");
        }
    }

    /// <summary>The finding that something of this graph should be otherwise.</summary>
    public ContractFinding Finding(string place, string expected, string found) =>
        new($"{File}: {place}", expected, found);

    private static IEnumerable<(TensorSpec, ValueInfoProto)> Pairs(
        IEnumerable<TensorSpec> wanted,
        IReadOnlyDictionary<string, ValueInfoProto> found
    ) => wanted.Where(spec => found.ContainsKey(spec.Name)).Select(spec => (spec, found[spec.Name]));

    private static Dictionary<string, ValueInfoProto> ByName(IEnumerable<ValueInfoProto>? values) =>
        (values ?? []).DistinctBy(value => value.Name).ToDictionary(value => value.Name);
}
