using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>
/// The device that the tests of this project run on, and the models that they run. <c>custom-ops/check_gpu.py</c> puts models
/// and libraries where they are looked for, since the machine with the device may have no .NET to export with.
/// </summary>
internal static class CudaMachine
{
    /// <summary>The collection of all tests: they look at the memory of one device, so that one runs at a time.</summary>
    public const string Name = "CUDA";

    private static readonly string Prepared = Path.Combine(TestData.Root, "artifacts", "check-gpu", "models");
    private static readonly string Library = Path.Combine(
        TestData.Root,
        "artifacts",
        "native",
        "cuda",
        "ops",
        CustomOps.FileName
    );

    private static readonly Lazy<string?> Missing = new(FindMissing);

    /// <summary>Skips the test where there is no device, or ONNX Runtime is the CPU build.</summary>
    public static void Require() => Assert.SkipUnless(Missing.Value is null, Missing.Value ?? "");

    /// <summary>The kernels of the native library, which must have been built.</summary>
    public static CustomOps Kernels => File.Exists(Library) ? CustomOps.FromFile(Library) : CustomOps.Auto;

    /// <summary>The exported folder of a checkpoint.</summary>
    public static string Model(string checkpoint, ElementType dtype = ElementType.Float32)
    {
        string prepared = Path.Combine(Prepared, $"{Path.GetFileName(checkpoint)}-{dtype.ShortName()}");
        return Directory.Exists(prepared)
            ? prepared
            : ExportedModels.Of(checkpoint, new ExportOptions { Dtype = dtype });
    }

    /// <summary>Loads a model on the device.</summary>
    public static BambaRuntime Load(
        string checkpoint,
        ElementType dtype = ElementType.Float32,
        CustomOps? ops = null,
        bool recordSteps = true
    ) =>
        BambaRuntime.Load(
            Model(checkpoint, dtype),
            new BambaRuntimeOptions
            {
                Provider = ExecutionProvider.Cuda,
                CustomOps = ops ?? Kernels,
                RecordSteps = recordSteps,
            }
        );

    /// <summary>How weights of few bits are exported, by the names that <c>custom-ops/check_gpu.py</c> gives them.</summary>
    public static ImmutableDictionary<string, ExportOptions> Quantized { get; } =
        ImmutableDictionary.CreateRange([
            Format("int4-g128", ElementType.Float16, bits: 4, groupSize: 128, ZeroPoints.None),
            Format("int4-g32", ElementType.Float16, bits: 4, groupSize: 32, ZeroPoints.Integer),
            Format("int8-g64", ElementType.BFloat16, bits: 8, groupSize: 64, ZeroPoints.None),
        ]);

    /// <summary>Loads tiny-shakespeare with weights of few bits on the device.</summary>
    public static BambaRuntime LoadQuantized(string name, CustomOps? ops = null)
    {
        string prepared = Path.Combine(Prepared, $"{Path.GetFileName(TestData.TinyShakespeare)}-{name}");
        return BambaRuntime.Load(
            Directory.Exists(prepared) ? prepared : ExportedModels.Of(TestData.TinyShakespeare, Quantized[name]),
            new BambaRuntimeOptions { Provider = ExecutionProvider.Cuda, CustomOps = ops ?? Kernels }
        );
    }

    /// <summary>Bytes of the device's memory that anybody uses.</summary>
    public static long UsedBytes()
    {
        using CudaDevice device = CudaDevice.Open(0);
        (long free, long total) = device.Memory();
        return total - free;
    }

    private static KeyValuePair<string, ExportOptions> Format(
        string name,
        ElementType dtype,
        int bits,
        int groupSize,
        ZeroPoints zeroPoints
    )
    {
        var format = new WeightQuantization
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
        };
        return new(name, new ExportOptions { Dtype = dtype, Quantization = QuantizationOptions.Of(format) });
    }

    private static string? FindMissing()
    {
        if (!OrtEnv.Instance().GetAvailableProviders().Contains("CUDAExecutionProvider"))
        {
            return "ONNX Runtime is the CPU build: -p:OnnxRuntimePackage=Microsoft.ML.OnnxRuntime.Gpu takes the other";
        }
        try
        {
            CudaDevice.Open(0).Dispose();
            return null;
        }
        catch (BambaException e)
        {
            return e.Message;
        }
    }
}
