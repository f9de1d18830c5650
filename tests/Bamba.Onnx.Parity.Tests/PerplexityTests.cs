using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Parity.Tests;

/// <summary>What a narrower type or fewer bits do to tiny-shakespeare on the held-out play.</summary>
public sealed class PerplexityTests
{
    private static readonly Lazy<HeldOutPlay> Float32 = new(() => new HeldOutPlay(new ExportOptions()));

    // What the model writes by itself: it has seen no other text than the play's neighbours.
    private static readonly Lazy<IReadOnlyList<int[]>> OwnText = new(() => WriteAsync().GetAwaiter().GetResult());

    private static readonly QuantizationMethod[] Methods =
    [
        QuantizationMethod.Nearest,
        QuantizationMethod.Search,
        QuantizationMethod.Activation,
    ];

    [Fact]
    public void Float32_has_the_perplexity_that_Hugging_Face_measures() =>
        Assert.InRange(Float32.Value.Perplexity, 45.90, 45.94);

    [Fact]
    public void Float16_is_within_half_a_percent()
    {
        var play = new HeldOutPlay(new ExportOptions { Dtype = ElementType.Float16 });
        Assert.InRange(play.Perplexity / Float32.Value.Perplexity, 0.995, 1.005);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(128)]
    public void Int8_is_within_three_thousandths(int groupSize)
    {
        HeldOutPlay play = Quantized(8, groupSize, ZeroPoints.None, QuantizationMethod.Search);
        Assert.InRange(play.Perplexity / Float32.Value.Perplexity, 0.997, 1.003);
        Assert.InRange(play.DivergenceFrom(Float32.Value), 0, 2e-3);
    }

    [Theory]
    [InlineData(32, ZeroPoints.None)]
    [InlineData(32, ZeroPoints.Float)]
    [InlineData(128, ZeroPoints.Integer)]
    public void Int4_is_nearer_to_float_with_a_search(int groupSize, ZeroPoints zeroPoints)
    {
        HeldOutPlay[] plays = [.. Methods.Select(method => Quantized(4, groupSize, zeroPoints, method))];
        double[] divergences = [.. plays.Select(play => play.DivergenceFrom(Float32.Value))];
        string told = string.Join(
            ", ",
            plays.Zip(divergences, (play, nats) => $"{nats:F4} nats, perplexity {play.Perplexity:F2}")
        );
        TestContext.Current.SendDiagnosticMessage(
            $"int4 g{groupSize} {zeroPoints}: nearest, search, activation: {told}"
        );
        // Inputs of this model are much alike, so that weighing by them changes little.
        Assert.True(divergences[1] < 0.98 * divergences[0] && divergences[2] < 1.02 * divergences[1], told);
    }

    [Theory]
    [InlineData(4, 32, ZeroPoints.None)]
    [InlineData(4, 32, ZeroPoints.Float)]
    [InlineData(4, 64, ZeroPoints.None)]
    [InlineData(4, 128, ZeroPoints.None)]
    [InlineData(8, 32, ZeroPoints.None)]
    public void Scales_of_half_the_bytes_cost_next_to_nothing(int bits, int groupSize, ZeroPoints zeroPoints)
    {
        HeldOutPlay whole = Quantized(bits, groupSize, zeroPoints, QuantizationMethod.Search);
        HeldOutPlay half = Quantized(bits, groupSize, zeroPoints, QuantizationMethod.Search, ElementType.Float16);
        double[] divergences =
        [
            whole.DivergenceFrom(Float32.Value),
            half.DivergenceFrom(Float32.Value),
            half.DivergenceFrom(whole),
        ];
        string told =
            $"{divergences[0]:F5} nats with scales of f32, {divergences[1]:F5} of f16, {divergences[2]:F5} between them";
        TestContext.Current.SendDiagnosticMessage($"int{bits} g{groupSize} {zeroPoints}: {told}");
        Assert.True(Math.Abs(divergences[1] - divergences[0]) < 0.03 * divergences[0], told);
        Assert.InRange(half.Perplexity / whole.Perplexity, 0.998, 1.002);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(64)]
    [InlineData(128)]
    public void Half_quadratic_zero_points_are_between_extremes_and_the_search(int groupSize)
    {
        QuantizationMethod[] methods = [QuantizationMethod.Nearest, QuantizationMethod.Hqq, QuantizationMethod.Search];
        double[] divergences =
        [
            .. methods.Select(method =>
                Quantized(4, groupSize, ZeroPoints.Float, method).DivergenceFrom(Float32.Value)
            ),
        ];
        string told = string.Join(", ", divergences.Select(nats => $"{nats:F4}"));
        TestContext.Current.SendDiagnosticMessage($"int4 g{groupSize} float: nearest, hqq, search: {told} nats");
        // Groups of 128 gain next to nothing.
        Assert.True(divergences[1] < (groupSize < 128 ? 0.99 : 1.01) * divergences[0], told);
        Assert.True(divergences[2] < divergences[1], told);
    }

    private static HeldOutPlay Quantized(
        int bits,
        int groupSize,
        ZeroPoints zeroPoints,
        QuantizationMethod method,
        ElementType? scales = null
    )
    {
        var format = new WeightQuantization
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
            Scales = scales,
            Method = method,
        };
        return new HeldOutPlay(
            new ExportOptions
            {
                Quantization = QuantizationOptions.Of(format),
                CalibrationTokens = method == QuantizationMethod.Activation ? OwnText.Value : null,
            }
        );
    }

    private static async Task<IReadOnlyList<int[]>> WriteAsync()
    {
        const int Rows = 16;
        const int Tokens = 512;
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));
        using BambaSession session = runtime.CreateSession(Rows);
        int[] prompt = runtime.Tokenizer.Encode("\n");
        var options = new GenerationOptions
        {
            MaxNewTokens = Tokens,
            Sampling = new SamplingOptions { Temperature = 1, Seed = 1 },
            EosTokenIds = [],
        };
        List<int>[] rows = [.. Enumerable.Range(0, Rows).Select(_ => new List<int>())];
        ReadOnlyMemory<int>[] prompts = [.. Enumerable.Repeat((ReadOnlyMemory<int>)prompt, Rows)];
        await foreach (GeneratedToken token in session.GenerateTokensAsync(prompts, options))
        {
            rows[token.Row].Add(token.Id);
        }
        return [.. rows.Select(row => row.ToArray())];
    }
}
