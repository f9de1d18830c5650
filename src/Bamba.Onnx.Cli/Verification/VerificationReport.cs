using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Cli.Contracts;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>One comparison.</summary>
/// <param name="Name">Graph, data and quantity, such as <c>portable.full.logits</c>.</param>
/// <param name="MaxAbs">The largest absolute difference; of tokens and files, how many differ. Null where it did not run.</param>
/// <param name="Limit">What it may be at most.</param>
/// <param name="Passed">Whether it is within the limit; a check that a graph cannot take fails nothing.</param>
/// <param name="Skipped">Why it did not run.</param>
internal sealed record VerificationCheck(string Name, double? MaxAbs, double? Limit, bool Passed, string? Skipped)
{
    // A difference that is not a number is over any limit.
    public static VerificationCheck Of(string name, double maxAbs, double limit) =>
        new(name, double.IsNaN(maxAbs) ? double.MaxValue : maxAbs, limit, maxAbs <= limit, null);

    public static VerificationCheck Skip(string name, string reason) => new(name, null, null, true, reason);
}

/// <summary>What a verification found.</summary>
/// <param name="Passed">Whether no rule is broken and no comparison failed.</param>
/// <param name="Contract">The rules of hosts.</param>
/// <param name="Checks">The comparisons with a reference; none without one.</param>
internal sealed record VerificationReport(
    bool Passed,
    IReadOnlyList<ContractResult> Contract,
    IReadOnlyList<VerificationCheck> Checks
)
{
    public static VerificationReport Of(
        IReadOnlyList<ContractResult> contract,
        IReadOnlyList<VerificationCheck> checks
    ) => new(contract.All(rule => rule.Passed) && checks.All(check => check.Passed), contract, checks);

    public string ToJson() => JsonSerializer.Serialize(this, VerificationJson.Default.VerificationReport);
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(VerificationReport))]
internal sealed partial class VerificationJson : JsonSerializerContext;
