using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class TensorRequirementsTests
{
    private static readonly ImmutableArray<long> Table = [8, 4];

    private static readonly Dictionary<string, ImmutableArray<long>> Expected = new()
    {
        [BambaTensors.Embedding] = Table,
        ["model.a"] = [4],
        ["model.b"] = [4],
    };

    [Fact]
    public void A_checkpoint_with_exactly_the_tensors_is_fine() => Assert.Null(Problem(Expected, isTied: false));

    [Fact]
    public void One_message_names_the_first_of_each_kind_and_counts_the_rest()
    {
        var expected = Enumerable.Range(0, 5).ToDictionary(i => $"m{i}", _ => Table);
        var found = Enumerable.Range(0, 4).ToDictionary(i => $"x{i}", _ => Table);
        foreach (string name in (string[])["a", "b", "c", "d"])
        {
            expected[name] = [1, 2];
            found[name] = [2, 1];
        }

        Assert.Equal(
            "5 tensors missing: m0, m1, m2 and 2 more; "
                + "4 tensors not part of the model that config.json describes: x0, x1, x2 and 1 more; "
                + "4 tensors unlike what config.json describes: a (expected [1, 2], found [2, 1]), "
                + "b (expected [1, 2], found [2, 1]), c (expected [1, 2], found [2, 1]) and 1 more",
            Problem(found, isTied: false, expected)
        );
    }

    [Fact]
    public void Weights_that_are_not_floating_point_are_refused() =>
        Assert.Equal(
            "3 tensors unlike what config.json describes: model.a (expected f32, f16 or bf16, found i64), "
                + "model.b (expected f32, f16 or bf16, found i64), "
                + "model.embed_tokens.weight (expected f32, f16 or bf16, found i64)",
            Problem(Expected, isTied: false, type: ElementType.Int64)
        );

    [Fact]
    public void The_head_of_a_tied_model_may_be_there_or_not()
    {
        var withHead = With(Expected, BambaTensors.LmHead, Table);

        Assert.Null(Problem(withHead, isTied: true));
        Assert.Null(Problem(Expected, isTied: true, withHead));
        Assert.Equal(
            "1 tensor unlike what config.json describes: lm_head.weight (expected [8, 4], found [9, 4])",
            Problem(With(Expected, BambaTensors.LmHead, [9, 4]), isTied: true)
        );
    }

    [Fact]
    public void The_head_of_an_untied_model_is_required_and_otherwise_unknown()
    {
        var withHead = With(Expected, BambaTensors.LmHead, Table);

        Assert.Equal("1 tensor missing: lm_head.weight", Problem(Expected, isTied: false, withHead));
        Assert.Equal(
            "1 tensor not part of the model that config.json describes: lm_head.weight",
            Problem(withHead, isTied: false)
        );
    }

    [Theory]
    [InlineData("model.rotary_emb.inv_freq")]
    [InlineData("model.layers.9.self_attn.rotary_emb.inv_freq")]
    public void Stored_rotary_frequencies_are_passed_over(string name) =>
        Assert.Null(Problem(With(Expected, name, [32]), isTied: false));

    private static string? Problem(
        Dictionary<string, ImmutableArray<long>> found,
        bool isTied,
        Dictionary<string, ImmutableArray<long>>? expected = null,
        ElementType type = ElementType.BFloat16
    ) =>
        TensorRequirements.Problem(
            found.ToDictionary(t => t.Key, t => new CheckpointTensor(t.Key, type, t.Value, 0, "file")),
            expected ?? Expected,
            isTied
        );

    private static Dictionary<string, ImmutableArray<long>> With(
        Dictionary<string, ImmutableArray<long>> tensors,
        string name,
        ImmutableArray<long> shape
    ) => new(tensors) { [name] = shape };
}
