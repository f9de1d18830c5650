using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Graph;

/// <summary>Builds a model-local function: an operator given by a body of standard operators.</summary>
public sealed class FunctionBuilder
{
    private readonly FunctionProto function;

    /// <summary>Starts a function.</summary>
    public FunctionBuilder(string domain, string name, IEnumerable<string> inputs, IEnumerable<string> outputs)
    {
        function = new FunctionProto { Domain = domain, Name = name };
        function.Input.AddRange(inputs);
        function.Output.AddRange(outputs);
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = StandardOps.Opset });
        Nodes = new NodeBuilder(function.Node);
    }

    /// <summary>Appends the body's nodes.</summary>
    public NodeBuilder Nodes { get; }

    /// <summary>Declares a domain whose operators the body uses.</summary>
    public FunctionBuilder Import(string domain, int version)
    {
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = domain, Version = version });
        return this;
    }

    /// <summary>
    /// Declares the attributes that callers give. The body has their values built in, or refers to them
    /// (<see cref="NodeArgument.OfCaller"/>).
    /// </summary>
    public FunctionBuilder Attributes(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            function.Attribute.Add(name);
        }
        return this;
    }

    /// <summary>The finished function.</summary>
    public FunctionProto Build() => function;
}
