using Bamba.Onnx.Contract;
using static Bamba.Onnx.Graph.NodeArgument;

namespace Bamba.Onnx.Graph;

/// <summary>The ONNX operators that lowering uses, as methods. Names, arguments and defaults are those of opset 21.</summary>
public static class StandardOps
{
    /// <summary>The opset whose operators these are.</summary>
    public const int Opset = 21;

    /// <summary>a + b.</summary>
    public static Value Add(this NodeBuilder g, Value a, Value b) => g.Node("Add", [a, b]);

    /// <summary>a − b.</summary>
    public static Value Sub(this NodeBuilder g, Value a, Value b) => g.Node("Sub", [a, b]);

    /// <summary>a · b, element by element.</summary>
    public static Value Mul(this NodeBuilder g, Value a, Value b) => g.Node("Mul", [a, b]);

    /// <summary>a / b; of integers, rounded towards zero.</summary>
    public static Value Div(this NodeBuilder g, Value a, Value b) => g.Node("Div", [a, b]);

    /// <summary>The smaller of a and b.</summary>
    public static Value Min(this NodeBuilder g, Value a, Value b) => g.Node("Min", [a, b]);

    /// <summary>The larger of a and b.</summary>
    public static Value Max(this NodeBuilder g, Value a, Value b) => g.Node("Max", [a, b]);

    /// <summary>−a.</summary>
    public static Value Neg(this NodeBuilder g, Value a) => g.Node("Neg", [a]);

    /// <summary>e to the a.</summary>
    public static Value Exp(this NodeBuilder g, Value a) => g.Node("Exp", [a]);

    /// <summary>a · sigmoid(a).</summary>
    public static Value Silu(this NodeBuilder g, Value a) => g.Mul(a, g.Node("Sigmoid", [a]));

    /// <summary>Whether a &lt; b.</summary>
    public static Value Less(this NodeBuilder g, Value a, Value b) => g.Node("Less", [a, b]);

    /// <summary>Whether a ≥ b.</summary>
    public static Value GreaterOrEqual(this NodeBuilder g, Value a, Value b) => g.Node("GreaterOrEqual", [a, b]);

    /// <summary>Whether a &gt; b.</summary>
    public static Value Greater(this NodeBuilder g, Value a, Value b) => g.Node("Greater", [a, b]);

    /// <summary>a where the condition holds, else b.</summary>
    public static Value Where(this NodeBuilder g, Value condition, Value a, Value b) =>
        g.Node("Where", [condition, a, b]);

    /// <summary>The matrix product over the last two axes.</summary>
    public static Value MatMul(this NodeBuilder g, Value a, Value b) => g.Node("MatMul", [a, b]);

    /// <summary>a as another element type.</summary>
    public static Value Cast(this NodeBuilder g, Value a, ElementType to) =>
        g.Node("Cast", [a], Int("to", (long)to.ToOnnx()));

    /// <summary>a as truth values: whether it is not zero.</summary>
    public static Value CastToBool(this NodeBuilder g, Value a) =>
        g.Node("Cast", [a], Int("to", (long)Proto.TensorProto.Types.DataType.Bool));

    /// <summary>a as the element type of <paramref name="like"/>.</summary>
    public static Value CastLike(this NodeBuilder g, Value a, Value like) => g.Node("CastLike", [a, like]);

    /// <summary>The sizes of axes start … end − 1, int64.</summary>
    public static Value Shape(this NodeBuilder g, Value a, int start, int end) =>
        g.Node("Shape", [a], Int("start", start), Int("end", end));

    /// <summary>a with another shape; 0 keeps a size, −1 is what remains.</summary>
    public static Value Reshape(this NodeBuilder g, Value a, Value shape) => g.Node("Reshape", [a, shape]);

    /// <summary>a with another constant shape; 0 keeps a size, −1 is what remains.</summary>
    public static Value Reshape(this NodeBuilder g, Value a, params ReadOnlySpan<long> shape) =>
        g.Node("Reshape", [a, g.Ints(shape)]);

    /// <summary>a with its axes in another order.</summary>
    public static Value Transpose(this NodeBuilder g, Value a, params ReadOnlySpan<long> perm) =>
        g.Node("Transpose", [a], Ints("perm", perm));

    /// <summary>a with axes of size 1 put in.</summary>
    public static Value Unsqueeze(this NodeBuilder g, Value a, params ReadOnlySpan<long> axes) =>
        g.Node("Unsqueeze", [a, g.Ints(axes)]);

    /// <summary>a without an axis of size 1.</summary>
    public static Value Squeeze(this NodeBuilder g, Value a, params ReadOnlySpan<long> axes) =>
        g.Node("Squeeze", [a, g.Ints(axes)]);

    /// <summary>The part of a from start to before end along an axis, bounds given as vectors of one int64.</summary>
    public static Value Slice(this NodeBuilder g, Value a, Value start, Value end, int axis) =>
        g.Node("Slice", [a, start, end, g.Ints(axis)]);

    /// <summary>The values joined along an axis.</summary>
    public static Value Concat(this NodeBuilder g, int axis, params ReadOnlySpan<Value> values) =>
        g.Node("Concat", values, Int("axis", axis));

    /// <summary>a cut along an axis into parts of the given sizes.</summary>
    public static Value[] Split(this NodeBuilder g, Value a, int axis, params ReadOnlySpan<long> sizes) =>
        g.Node("", "Split", [a, g.Ints(sizes)], sizes.Length, Int("axis", axis));

    /// <summary>a cut along an axis into two parts of one size.</summary>
    public static Value[] Halves(this NodeBuilder g, Value a, int axis) =>
        g.Node("", "Split", [a], 2, Int("axis", axis), Int("num_outputs", 2));

    /// <summary>a repeated along axes of size 1 up to a shape.</summary>
    public static Value Expand(this NodeBuilder g, Value a, Value shape) => g.Node("Expand", [a, shape]);

    /// <summary>0, 1, … up to before a scalar.</summary>
    public static Value Range(this NodeBuilder g, Value limit) => g.RangeOf(g.Int(0), limit, g.Int(1));

    /// <summary>start, start + delta, … below limit; three scalars of one type.</summary>
    public static Value RangeOf(this NodeBuilder g, Value start, Value limit, Value delta) =>
        g.Node("Range", [start, limit, delta]);

    /// <summary>Rows of a, chosen along axis 0.</summary>
    public static Value Gather(this NodeBuilder g, Value a, Value indices) =>
        g.Node("Gather", [a, indices], Int("axis", 0));

    /// <summary>For each row of the batch, the entries of axis 1 that [batch, n, 1] or [batch, 1] indices name.</summary>
    public static Value GatherTokens(this NodeBuilder g, Value a, Value indices) =>
        g.Node("GatherND", [a, indices], Int("batch_dims", 1));

    /// <summary>The sum along an axis, which goes.</summary>
    public static Value ReduceSum(this NodeBuilder g, Value a, int axis) =>
        g.Node("ReduceSum", [a, g.Ints(axis)], Int("keepdims", 0));

    /// <summary>The mean of the last axis, which stays with size 1.</summary>
    public static Value ReduceMeanLast(this NodeBuilder g, Value a) =>
        g.Node("ReduceMean", [a, g.Ints(-1)], Int("keepdims", 1));

    /// <summary>Running sums along an axis, each including its own element.</summary>
    public static Value CumSum(this NodeBuilder g, Value a, int axis) => g.Node("CumSum", [a, g.Int(axis)]);

    /// <summary>x / sqrt(mean(x²) + epsilon) over the last axis, float32.</summary>
    public static Value RmsNormalize(this NodeBuilder g, Value x, float epsilon)
    {
        Value variance = g.ReduceMeanLast(g.Mul(x, x));
        return g.Div(x, g.Node("Sqrt", [g.Add(variance, g.Float(epsilon))]));
    }
}
