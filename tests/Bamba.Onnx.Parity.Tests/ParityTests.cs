using Bamba.Onnx.Cli.Verification;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Parity.Tests;

/// <summary>Checkpoint to ONNX Runtime's answers, against what Hugging Face computes: both graphs of every reference.</summary>
public sealed class ParityTests
{
    public static TheoryData<string> Cases => [.. TestData.CaseNames];

    private static VerificationReport Verify(string checkpoint, ExportOptions? options = null) =>
        Verifier.Verify(
            ExportedModels.Of(checkpoint, options),
            checkpoint,
            new BambaRuntimeOptions { CustomOps = CustomOps.Off },
            TestContext.Current.CancellationToken
        );

    private static void AssertPassed(VerificationReport report) =>
        Assert.True(report.Passed, string.Join('\n', report.Checks.Where(check => !check.Passed)));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Both_graphs_equal_the_reference_in_float32(string name)
    {
        VerificationReport report = Verify(TestData.Case(name));
        AssertPassed(report);
        string[] ran = [.. report.Checks.Where(check => check.Skipped is null).Select(check => check.Name)];
        foreach (
            string check in (string[])
                ["full.logits", "padded_left.tokens", "padded_right.tokens", "padded_holes.tokens"]
        )
        {
            Assert.Contains($"portable.{check}", ran);
        }
        foreach (
            string check in (string[])
                ["greedy_long.continued.logits", "greedy_one.tokens", "greedy_long.in_place.logits"]
        )
        {
            Assert.Contains($"portable.{check}", ran);
            Assert.Contains($"runtime.{check}", ran);
        }
        // Hugging Face keeps no cache for a model without attention, so that there is no state to compare with.
        Assert.Equal(
            name != "all-mamba",
            ran.Any(check => check.StartsWith("runtime.greedy_short.present.", StringComparison.Ordinal))
        );
    }

    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    public void Logits_of_every_position_and_hidden_states_equal_the_reference(string name)
    {
        VerificationReport report = Verify(
            TestData.Case(name),
            new ExportOptions { Logits = LogitsPositions.All, OutputHiddenStates = true }
        );
        AssertPassed(report);
        Assert.Contains(report.Checks, check => check.Name == "runtime.full.hidden_states.4");
        Assert.Contains(report.Checks, check => check.Name == "runtime.full.logits");
    }

    [Theory]
    [InlineData("two-groups")]
    [InlineData("all-attention-but-one")]
    public void The_graph_for_transformers_js_equals_the_reference(string name)
    {
        VerificationReport report = Verify(TestData.Case(name), new ExportOptions { Profiles = [GraphProfile.Web] });
        AssertPassed(report);
        Assert.Contains(report.Checks, check => check.Name == "web.padded_left.tokens");
        Assert.DoesNotContain(report.Checks, check => check.Name.StartsWith("portable.", StringComparison.Ordinal));
    }

    [Fact]
    public void Logits_of_the_last_token_only_equal_the_reference() =>
        AssertPassed(Verify(TestData.Case("base"), new ExportOptions { Logits = LogitsPositions.Last }));

    [Fact]
    public void The_real_checkpoint_equals_the_reference() => AssertPassed(Verify(TestData.TinyShakespeare));

    [Fact]
    public void Float16_stays_near_the_reference()
    {
        AssertPassed(Verify(TestData.TinyShakespeare, new ExportOptions { Dtype = ElementType.Float16 }));
        AssertPassed(Verify(TestData.Case("base"), new ExportOptions { Dtype = ElementType.Float16 }));
    }
}
