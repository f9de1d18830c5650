namespace Bamba.Onnx.Graph;

/// <summary>A tensor in a graph, known by its name.</summary>
/// <param name="Name">The name; empty for an optional input or output left out.</param>
public readonly record struct Value(string Name)
{
    /// <summary>An optional input or output left out.</summary>
    public static Value None { get; } = new("");
}
