using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class TinyShakespeareTests
{
    [Fact]
    public void The_trained_checkpoint_continues_its_prompts_as_in_Hugging_Face()
    {
        using ReferenceCase reference = ReferenceCase.OpenTinyShakespeare();
        for (int i = 0; reference.Data.Contains($"{i}.input_ids"); i++)
        {
            using var scope = NewDisposeScope();
            Tensor expected = reference.Longs($"{i}.tokens");

            (Tensor tokens, Tensor logits) = Greedy.Decode(
                reference.Model,
                reference.Longs($"{i}.input_ids"),
                null,
                (int)expected.shape[1]
            );

            Assert.Equal(expected.data<long>().ToArray(), tokens.data<long>().ToArray());
            Close.To(reference.Floats($"{i}.step_logits"), logits, what: $"prompt {i}");
        }
    }
}
