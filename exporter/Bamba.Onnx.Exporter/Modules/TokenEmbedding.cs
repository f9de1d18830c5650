using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// The embedding table. TorchSharp's own module makes its table on the CPU whatever the device, two gigabytes for the 9B
/// model. No row is a padding row: masked tokens pass no gradient, and the padding token of a checkpoint may be a real one.
/// </summary>
public sealed class TokenEmbedding : BambaModule<Tensor, Tensor>
{
    /// <summary>Creates the table.</summary>
    public TokenEmbedding(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        Weight = options.NewParameter(config.VocabSize, config.HiddenSize);
        RegisterComponents();
    }

    /// <summary>The table, [vocab_size, hidden_size].</summary>
    [field: ComponentName(Name = "weight")]
    public Parameter Weight { get; }

    /// <summary>Looks tokens up.</summary>
    /// <param name="input">Token ids, [batch, tokens] int64 or int32.</param>
    /// <returns>[batch, tokens, hidden_size].</returns>
    /// <exception cref="ArgumentException">A token is not in the vocabulary.</exception>
    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor unknown = input.less(0).logical_or(input.greater_equal(Config.VocabSize));
        if (unknown.any().item<bool>())
        {
            long found = input.masked_select(unknown)[0].to_type(ScalarType.Int64).item<long>();
            throw InputChecks.Error("InputIds", $"expected tokens from 0 to {Config.VocabSize - 1}, found {found}");
        }
        return Weight
            .index_select(0, input.flatten())
            .view([.. input.shape, Config.HiddenSize])
            .MoveToOuterDisposeScope();
    }
}
