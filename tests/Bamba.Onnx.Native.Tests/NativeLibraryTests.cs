using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Cli.Verification;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Native.Tests;

public sealed class NativeLibraryTests
{
    public static TheoryData<string> Cases => [.. TestData.CaseNames];

    [Fact]
    public Task Kernels_agree_with_their_scalar_twin() => NativeBuild.TestAsync();

    [Fact]
    public void The_library_is_taken_unasked_where_one_was_built_and_else_the_function()
    {
        string expected = NativeBuild.HasLibrary ? NativeBuild.Library : ScanImplementation.FunctionBody;
        ModelInspection inspection = ModelInspection.Of(ExportedModels.Of(TestData.TinyShakespeare), CustomOps.Auto);
        Assert.Equal(expected, inspection.Scan);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Both_graphs_with_kernels_equal_the_reference(string name) => AssertPassed(TestData.Case(name));

    [Fact]
    public void Tiny_shakespeare_with_kernels_equals_the_reference() => AssertPassed(TestData.TinyShakespeare);

    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    public async Task Kernels_write_the_text_that_the_function_writes(ElementType dtype)
    {
        string folder = ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Dtype = dtype });
        string expected = await WriteAsync(folder, CustomOps.Off);
        Assert.Equal(expected, await WriteAsync(folder, CustomOps.FromFile(NativeBuild.Library)));
    }

    [Theory]
    [InlineData(32, ZeroPoints.None)]
    [InlineData(128, ZeroPoints.Float)]
    public async Task Kernels_write_the_same_with_scales_of_half_the_bytes(int groupSize, ZeroPoints zeroPoints)
    {
        const int Tokens = 12;
        var format = new WeightQuantization
        {
            Bits = 4,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
        };
        CustomOps ops = CustomOps.FromFile(NativeBuild.Library);
        string expected = await WriteAsync(Export(format), ops, Tokens);
        string half = Export(format with { Scales = ElementType.Float16 });
        Assert.Equal(expected, await WriteAsync(half, ops, Tokens));
        Assert.Equal(expected, await WriteAsync(half, CustomOps.Off, Tokens));

        static string Export(WeightQuantization format) =>
            ExportedModels.Of(
                TestData.TinyShakespeare,
                new ExportOptions { Quantization = QuantizationOptions.Of(format) }
            );
    }

    private static async Task<string> WriteAsync(string folder, CustomOps ops, int tokens = 40)
    {
        using BambaRuntime runtime = BambaRuntime.Load(folder, new BambaRuntimeOptions { CustomOps = ops });
        var options = new GenerationOptions { MaxNewTokens = tokens, Sampling = SamplingOptions.Greedy };
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        return string.Concat(
            await runtime.GenerateAsync("ROMEO:", options, cancellationToken).ToArrayAsync(cancellationToken)
        );
    }

    private static void AssertPassed(string checkpoint)
    {
        VerificationReport report = Verifier.Verify(
            ExportedModels.Of(checkpoint),
            checkpoint,
            new BambaRuntimeOptions { CustomOps = CustomOps.FromFile(NativeBuild.Library) },
            TestContext.Current.CancellationToken
        );
        Assert.True(report.Passed, string.Join('\n', report.Checks.Where(check => !check.Passed)));
    }
}
