using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Contract.Tests;

public sealed class GraphSignatureTests
{
    private static readonly BambaConfig Config = BambaConfig.Load(TestData.Bamba9BConfig);

    private static string[] Names(IEnumerable<TensorSpec> specs) => [.. specs.Select(spec => spec.ToString())];

    [Fact]
    public void The_portable_graph_has_the_names_and_axes_that_other_hosts_look_for()
    {
        GraphSignature signature = GraphSignature.For(Config, GraphProfile.Portable);
        string[] inputs = Names(signature.Inputs);
        Assert.Equal("input_ids i64[batch_size, sequence_length]", inputs[0]);
        Assert.Equal("attention_mask i64[batch_size, total_sequence_length]", inputs[1]);
        Assert.Equal("past_key_values.0.conv_state f32[batch_size, 8448, 3]", inputs[2]);
        Assert.Equal("past_key_values.0.recurrent_state f32[batch_size, 128, 64, 128]", inputs[3]);
        Assert.Contains("past_key_values.9.key f32[batch_size, 8, past_sequence_length, 128]", inputs);
        string[] outputs = Names(signature.Outputs);
        Assert.Equal("logits f32[batch_size, sequence_length, 128256]", outputs[0]);
        Assert.Contains("present.9.value f32[batch_size, 8, total_sequence_length, 128]", outputs);
        Assert.Equal(2 + (2 * 32), inputs.Length);
    }

    [Fact]
    public void Only_the_batch_axis_of_mamba_states_is_symbolic()
    {
        foreach (GraphProfile profile in Enum.GetValues<GraphProfile>())
        {
            GraphSignature signature = GraphSignature.For(Config, profile);
            foreach (
                CacheSpec cache in signature.Caches.Where(c =>
                    c.Kind is CacheKind.ConvState or CacheKind.RecurrentState
                )
            )
            {
                Assert.Equal(["batch_size"], cache.Past.Axes.Select(axis => axis.Symbol).OfType<string>());
                Assert.Equal(cache.Past.Axes, cache.Present.Axes);
            }
        }
    }

    [Fact]
    public void The_runtime_graph_takes_lengths_and_buffers_of_fixed_capacity()
    {
        GraphSignature signature = GraphSignature.For(Config, GraphProfile.Runtime);
        Assert.Equal(
            ["input_ids i64[batch_size, sequence_length]", "past_lens i32[batch_size]", "seq_lens i32[batch_size]"],
            Names(signature.Front)
        );
        Assert.Equal(["logits f32[batch_size, 1, 128256]"], Names(signature.Results));
        CacheSpec key = signature.Caches.First(cache => cache.Kind == CacheKind.Key);
        Assert.Equal("past_key_values.9.key f32[batch_size, 8, capacity, 128]", key.Past.ToString());
        Assert.Equal(key.Past.Axes, key.Present.Axes);
    }

    [Fact]
    public void The_web_graph_has_the_cache_names_of_transformers_js()
    {
        GraphSignature signature = GraphSignature.For(Config, GraphProfile.Web);
        GraphSignature portable = GraphSignature.For(Config, GraphProfile.Portable);
        Assert.Equal(Names(portable.Front), Names(signature.Front));
        string[] inputs = Names(signature.Inputs);
        Assert.Contains("past_conv.0 f32[batch_size, 8448, 3]", inputs);
        Assert.Contains("past_ssm.0 f32[batch_size, 128, 64, 128]", inputs);
        Assert.Contains("past_key_values.9.key f32[batch_size, 8, past_sequence_length, 128]", inputs);
        string[] outputs = Names(signature.Outputs);
        Assert.Equal("logits f32[batch_size, 1, 128256]", outputs[0]);
        Assert.Contains("present_conv.31 f32[batch_size, 8448, 3]", outputs);
        Assert.Contains("present_ssm.31 f32[batch_size, 128, 64, 128]", outputs);
        Assert.Contains("present.9.value f32[batch_size, 8, total_sequence_length, 128]", outputs);
    }

    [Fact]
    public void Sixteen_bit_exports_keep_recurrent_states_and_logits_in_float32()
    {
        var options = new GraphOptions
        {
            Dtype = ElementType.Float16,
            OutputHiddenStates = true,
            Logits = LogitsPositions.Last,
        };
        GraphSignature signature = GraphSignature.For(Config, GraphProfile.Portable, options);
        Assert.All(
            signature.Caches,
            cache =>
                Assert.Equal(
                    cache.Kind == CacheKind.RecurrentState ? ElementType.Float32 : ElementType.Float16,
                    cache.Past.Type
                )
        );
        Assert.Equal("logits f32[batch_size, 1, 128256]", signature.Results[0].ToString());
        Assert.Equal("hidden_states.32 f16[batch_size, sequence_length, 4096]", signature.Results[33].ToString());
    }
}
