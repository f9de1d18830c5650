using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Cli.Verification;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
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

    private static async Task<string> WriteAsync(string folder, CustomOps ops)
    {
        using BambaRuntime runtime = BambaRuntime.Load(folder, new BambaRuntimeOptions { CustomOps = ops });
        var options = new GenerationOptions { MaxNewTokens = 40, Sampling = SamplingOptions.Greedy };
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
