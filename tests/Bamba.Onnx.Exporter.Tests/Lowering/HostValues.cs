using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

/// <summary>
/// Where the values of a graph lie when ONNX Runtime's CUDA provider runs it. Shapes lie on the host, and so does what follows
/// from them and constants alone: the provider leaves such nodes to the processor. All else lies on the device.
/// </summary>
internal static class HostValues
{
    /// <summary>The inputs that the CUDA provider's kernels read on the host, by operator.</summary>
    private static readonly Dictionary<string, int[]> ReadOnHost = new()
    {
        ["CumSum"] = [1],
        ["Expand"] = [1],
        ["GroupQueryAttention"] = [6],
        ["Range"] = [0, 1, 2],
        ["ReduceSum"] = [1],
        ["Reshape"] = [1],
        ["Slice"] = [1, 2, 3, 4],
        ["Split"] = [1],
        ["Squeeze"] = [1],
        ["Unsqueeze"] = [1],
    };

    /// <summary>
    /// Fails where ONNX Runtime would have to copy: where a value of the host is an operand on the device, or the other way
    /// round. Functions that run as they are written are looked into; the others have kernels.
    /// </summary>
    public static void AssertApart(ModelProto model)
    {
        HashSet<string> withKernels = [Mamba2ChunkScanOp.Name, "SwiGLU"];
        AssertApart(model.Graph.Node, model.Graph.Output.Select(output => output.Name));
        foreach (FunctionProto function in model.Functions.Where(function => !withKernels.Contains(function.Name)))
        {
            AssertApart(function.Node, function.Output);
        }
    }

    private static void AssertApart(IEnumerable<NodeProto> nodes, IEnumerable<string> outputs)
    {
        // A constant is wherever it is needed.
        var constants = new HashSet<string> { "" };
        var host = new HashSet<string>();
        foreach (NodeProto node in nodes)
        {
            if (node.OpType == "Constant")
            {
                constants.UnionWith(node.Output);
                continue;
            }
            int[] readOnHost = ReadOnHost.GetValueOrDefault(node.OpType, []);
            bool fromShapes =
                node.Input.Any(host.Contains)
                && node.Input.All(input => host.Contains(input) || constants.Contains(input));
            // Range's kernel reads all of its inputs on the host and yet counts on the device.
            bool onHost = fromShapes && !readOnHost.Any(i => i < node.Input.Count && host.Contains(node.Input[i]));
            for (int i = 0; i < node.Input.Count && node.OpType != "Shape" && !onHost; i++)
            {
                string input = node.Input[i];
                Assert.True(
                    constants.Contains(input) || host.Contains(input) == readOnHost.Contains(i),
                    $"{node.Name}: input {i}, {input}, has to be copied between host and device"
                );
            }
            if (onHost || node.OpType == "Shape")
            {
                host.UnionWith(node.Output);
            }
        }
        Assert.All(outputs, output => Assert.DoesNotContain(output, host));
    }
}
