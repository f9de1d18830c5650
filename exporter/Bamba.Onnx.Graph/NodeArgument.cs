using Bamba.Onnx.Graph.Proto;
using Google.Protobuf;
using static Bamba.Onnx.Graph.Proto.AttributeProto.Types;

namespace Bamba.Onnx.Graph;

/// <summary>An attribute of a node: a name and a value.</summary>
public sealed class NodeArgument
{
    private NodeArgument(AttributeProto proto) => Proto = proto;

    /// <summary>The attribute in ONNX's format.</summary>
    public AttributeProto Proto { get; }

    /// <summary>An integer.</summary>
    public static NodeArgument Int(string name, long value) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.Int,
                I = value,
            }
        );

    /// <summary>In a function's body: the integer that the caller gives as the attribute of the same name.</summary>
    public static NodeArgument OfCaller(string name) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.Int,
                RefAttrName = name,
            }
        );

    /// <summary>A list of integers.</summary>
    public static NodeArgument Ints(string name, params ReadOnlySpan<long> values)
    {
        var proto = new AttributeProto { Name = name, Type = AttributeType.Ints };
        foreach (long value in values)
        {
            proto.Ints.Add(value);
        }
        return new NodeArgument(proto);
    }

    /// <summary>A float.</summary>
    public static NodeArgument Float(string name, float value) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.Float,
                F = value,
            }
        );

    /// <summary>A string.</summary>
    public static NodeArgument Text(string name, string value) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.String,
                S = ByteString.CopyFromUtf8(value),
            }
        );

    /// <summary>A small constant tensor.</summary>
    public static NodeArgument Tensor(string name, TensorProto value) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.Tensor,
                T = value,
            }
        );

    /// <summary>A subgraph.</summary>
    public static NodeArgument Graph(string name, GraphProto value) =>
        new(
            new AttributeProto
            {
                Name = name,
                Type = AttributeType.Graph,
                G = value,
            }
        );
}
