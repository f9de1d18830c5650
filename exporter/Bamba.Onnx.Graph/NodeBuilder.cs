using System.Globalization;
using System.Runtime.InteropServices;
using Bamba.Onnx.Graph.Proto;
using Google.Protobuf;
using Google.Protobuf.Collections;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Graph;

/// <summary>
/// Appends nodes to a graph, a function or a subgraph. Nodes and their results are named after the scopes that are open
/// (<c>/model/layers.3/mamba/in_proj/MatMul</c>), so that a node leads back to the module behind it.
/// </summary>
public sealed class NodeBuilder
{
    private readonly RepeatedField<NodeProto> nodes;
    private readonly NodeBuilder? outer;
    private readonly Dictionary<string, int> uses;
    private readonly Dictionary<string, Value> constants = [];
    private string scope = "";

    internal NodeBuilder(RepeatedField<NodeProto> nodes)
    {
        this.nodes = nodes;
        uses = [];
    }

    private NodeBuilder(RepeatedField<NodeProto> nodes, NodeBuilder outer)
    {
        this.nodes = nodes;
        this.outer = outer;
        uses = outer.uses;
        scope = outer.scope;
    }

    /// <summary>Opens a scope until the result is disposed.</summary>
    public IDisposable Scope(string name)
    {
        string previous = scope;
        scope = $"{scope}/{name}";
        return new ScopeEnd(this, previous);
    }

    /// <summary>Opens a scope outside all others until the result is disposed, for what is made once and used in many.</summary>
    public IDisposable RootScope(string name)
    {
        string previous = scope;
        scope = $"/{name}";
        return new ScopeEnd(this, previous);
    }

    /// <summary>Appends a node with one output.</summary>
    public Value Node(string op, ReadOnlySpan<Value> inputs, params ReadOnlySpan<NodeArgument> attributes) =>
        Node("", op, inputs, 1, attributes)[0];

    /// <summary>Appends a node of any domain with any number of outputs.</summary>
    public Value[] Node(
        string domain,
        string op,
        ReadOnlySpan<Value> inputs,
        int outputs,
        params ReadOnlySpan<NodeArgument> attributes
    )
    {
        string name = UniqueName(op);
        var results = new Value[outputs];
        for (int i = 0; i < outputs; i++)
        {
            results[i] = new Value(outputs == 1 ? $"{name}_output" : $"{name}_output_{i}");
        }
        Append(domain, op, name, inputs, results, attributes);
        return results;
    }

    /// <summary>Appends a node whose outputs have names of their own, such as those of graph outputs.</summary>
    public void NodeInto(
        string domain,
        string op,
        ReadOnlySpan<Value> inputs,
        ReadOnlySpan<Value> outputs,
        params ReadOnlySpan<NodeArgument> attributes
    ) => Append(domain, op, UniqueName(op), inputs, outputs, attributes);

    /// <summary>A constant int64 vector; equal ones are made once.</summary>
    public Value Ints(params ReadOnlySpan<long> values)
    {
        string key = string.Join(',', values.ToArray());
        return Constant($"i64[{key}]", DataType.Int64, [values.Length], MemoryMarshal.AsBytes(values));
    }

    /// <summary>A constant int64 scalar; equal ones are made once.</summary>
    public Value Int(long value) =>
        Constant(string.Create(CultureInfo.InvariantCulture, $"i64:{value}"), DataType.Int64, [], Bytes(value));

    /// <summary>A constant int32 scalar; equal ones are made once.</summary>
    public Value Int32(int value) =>
        Constant(string.Create(CultureInfo.InvariantCulture, $"i32:{value}"), DataType.Int32, [], Bytes(value));

    /// <summary>A constant float32 scalar; equal ones are made once.</summary>
    public Value Float(float value) =>
        Constant(string.Create(CultureInfo.InvariantCulture, $"f32:{value:R}"), DataType.Float, [], Bytes(value));

    /// <summary>A subgraph of this graph: it sees this builder's values, and this builder's constants serve it too.</summary>
    /// <param name="name">The subgraph's name.</param>
    /// <param name="build">Adds inputs, nodes and outputs.</param>
    public GraphProto Subgraph(string name, Action<GraphProto, NodeBuilder> build)
    {
        ArgumentNullException.ThrowIfNull(build);
        var graph = new GraphProto { Name = name };
        build(graph, new NodeBuilder(graph.Node, this));
        return graph;
    }

    private void Append(
        string domain,
        string op,
        string name,
        ReadOnlySpan<Value> inputs,
        ReadOnlySpan<Value> outputs,
        ReadOnlySpan<NodeArgument> attributes
    )
    {
        var node = new NodeProto { Name = name, OpType = op };
        if (domain.Length > 0)
        {
            node.Domain = domain;
        }
        foreach (Value input in inputs)
        {
            node.Input.Add(input.Name);
        }
        foreach (Value output in outputs)
        {
            node.Output.Add(output.Name);
        }
        foreach (NodeArgument attribute in attributes)
        {
            node.Attribute.Add(attribute.Proto);
        }
        nodes.Add(node);
    }

    private Value Constant(string key, DataType type, ReadOnlySpan<long> dims, ReadOnlySpan<byte> data)
    {
        if (outer is not null)
        {
            return outer.Constant(key, type, dims, data);
        }
        if (constants.TryGetValue(key, out Value known))
        {
            return known;
        }
        var tensor = new TensorProto { DataType = (int)type, RawData = ByteString.CopyFrom(data) };
        foreach (long dim in dims)
        {
            tensor.Dims.Add(dim);
        }
        using IDisposable outside = RootScope("constants");
        return constants[key] = Node("Constant", [], NodeArgument.Tensor("value", tensor));
    }

    private string UniqueName(string op)
    {
        string name = $"{scope}/{op}";
        int count = uses[name] = uses.GetValueOrDefault(name) + 1;
        return count == 1 ? name : string.Create(CultureInfo.InvariantCulture, $"{name}_{count}");
    }

    private static ReadOnlySpan<byte> Bytes<T>(T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new[] { value }.AsSpan());

    private sealed class ScopeEnd(NodeBuilder builder, string previous) : IDisposable
    {
        public void Dispose() => builder.scope = previous;
    }
}
