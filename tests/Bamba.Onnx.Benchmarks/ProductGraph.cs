using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using DataType = Bamba.Onnx.Graph.Proto.TensorProto.Types.DataType;

namespace Bamba.Onnx.Benchmarks;

/// <summary>A session of one product with quantized weights, which its model holds.</summary>
internal sealed class ProductGraph : IDisposable
{
    private readonly InferenceSession session;
    private readonly RunOptions runOptions = new();
    private readonly int n;
    private readonly int k;
    private OrtIoBinding? binding;
    private OrtValue? x;
    private OrtValue? y;

    private ProductGraph(string domain, DataType scales, int n, int k, int bits, int blockSize, SessionOptions options)
    {
        (this.n, this.k) = (n, k);
        session = new InferenceSession(Model(domain, scales, n, k, bits, blockSize), options);
    }

    /// <summary>Bytes of a matrix's codes and float16 scales.</summary>
    public static long Bytes(int n, int k, int bits, int blockSize) =>
        ((long)n * k * bits / 8) + ((long)n * k / blockSize * 2);

    /// <summary>The native library's operator.</summary>
    public static ProductGraph OfKernels(int n, int k, int bits, int blockSize)
    {
        using SessionOptions options = Options();
        options.AddSessionConfigEntry("bamba.provider", "cpu");
        options.RegisterCustomOpLibrary(Path.Combine(AppContext.BaseDirectory, CustomOps.FileName));
        return new ProductGraph(Mamba2ChunkScanOp.Domain, DataType.Float16, n, k, bits, blockSize, options);
    }

    /// <summary>ONNX Runtime's operator of the same name, whose scales have x's type.</summary>
    public static ProductGraph OfOnnxRuntime(int n, int k, int bits, int blockSize)
    {
        using SessionOptions options = Options();
        return new ProductGraph("com.microsoft", DataType.Float, n, k, bits, blockSize, options);
    }

    /// <summary>Sets the number of x's rows.</summary>
    public void Bind(int rows)
    {
        Unbind();
        x = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, rows, k]);
        y = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, TensorElementType.Float, [1, rows, n]);
        var random = new Random(1);
        foreach (ref float element in x.GetTensorMutableDataAsSpan<float>())
        {
            element = random.NextSingle() - 0.5f;
        }
        binding = session.CreateIoBinding();
        binding.BindInput("x", x);
        binding.BindOutput("y", y);
    }

    /// <summary>Multiplies.</summary>
    public void Run() => session.RunWithBinding(runOptions, binding!);

    public void Dispose()
    {
        Unbind();
        runOptions.Dispose();
        session.Dispose();
    }

    private void Unbind()
    {
        binding?.Dispose();
        x?.Dispose();
        y?.Dispose();
    }

    private static SessionOptions Options() => new() { IntraOpNumThreads = 2 };

    private static byte[] Model(string domain, DataType scales, int n, int k, int bits, int blockSize)
    {
        var node = new NodeProto { OpType = "MatMulNBits", Domain = domain };
        node.Input.AddRange(["x", "codes", "scales"]);
        node.Output.Add("y");
        foreach (
            (string name, int value) in ((string, int)[])
                [("K", k), ("N", n), ("bits", bits), ("block_size", blockSize), ("accuracy_level", 4)]
        )
        {
            node.Attribute.Add(NodeArgument.Int(name, value).Proto);
        }
        ModelProto model = NodeModel.Of(
            [node],
            [TensorTypes.ValueInfo("x", DataType.Float, ["b", "m", k])],
            [TensorTypes.ValueInfo("y", DataType.Float, ["b", "m", n])]
        );
        int groups = k / blockSize;
        var codes = new byte[(long)n * k * bits / 8];
        new Random(2).NextBytes(codes);
        model.Graph.Initializer.Add(Initializer("codes", DataType.Uint8, codes, n, groups, blockSize * bits / 8));
        byte[] one = scales == DataType.Float ? BitConverter.GetBytes(0.01f) : BitConverter.GetBytes((Half)0.01f);
        byte[] all = [.. Enumerable.Repeat(one, n * groups).SelectMany(bytes => bytes)];
        model.Graph.Initializer.Add(Initializer("scales", scales, all, n * groups));
        return model.ToByteArray();
    }

    private static TensorProto Initializer(string name, DataType type, byte[] bytes, params long[] shape)
    {
        var tensor = new TensorProto
        {
            Name = name,
            DataType = (int)type,
            RawData = UnsafeByteOperations.UnsafeWrap(bytes),
        };
        tensor.Dims.AddRange(shape);
        return tensor;
    }
}
