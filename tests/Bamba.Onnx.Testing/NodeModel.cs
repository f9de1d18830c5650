using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Testing;

/// <summary>Models of a node or two, whose graph inputs and outputs are the nodes' own.</summary>
public static class NodeModel
{
    /// <summary>Makes the model; it imports the domains of its nodes.</summary>
    public static ModelProto Of(
        IEnumerable<NodeProto> nodes,
        IEnumerable<ValueInfoProto> inputs,
        IEnumerable<ValueInfoProto> outputs,
        params IEnumerable<FunctionProto> functions
    )
    {
        var model = new ModelProto
        {
            IrVersion = ModelBuilder.IrVersion,
            Graph = new GraphProto { Name = "nodes" },
        };
        model.Graph.Node.AddRange(nodes);
        model.Graph.Input.AddRange(inputs);
        model.Graph.Output.AddRange(outputs);
        model.Functions.AddRange(functions);
        model.OpsetImport.Add(new OperatorSetIdProto { Version = StandardOps.Opset });
        foreach (string domain in model.Graph.Node.Select(node => node.Domain).Distinct())
        {
            // Of both other domains that tests use there is one version.
            int version = domain == Mamba2ChunkScanOp.Domain ? Mamba2ChunkScanOp.Version : 1;
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        }
        return model;
    }
}
