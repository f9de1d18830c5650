using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>The language model (Hugging Face's <c>BambaForCausalLM</c>): parameter names are those of its checkpoints.</summary>
public sealed class BambaForCausalLM : BambaModule<BambaInputs, BambaOutputs>
{
    /// <summary>Creates the language model, with fresh weights unless it is on the meta device.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="options">How its parameters are made; null for float32 on the CPU.</param>
    public BambaForCausalLM(BambaConfig config, BambaModuleOptions? options = null)
        : base("", config)
    {
        options ??= new BambaModuleOptions();
        Model = new BambaModel(config, options, ChildPath("model"));
        if (!config.TieWordEmbeddings)
        {
            LmHead = options.NewLinear(config.HiddenSize, config.VocabSize, hasBias: false);
            ParameterInitializer.Initialize(LmHead, config);
        }
        RegisterComponents();
    }

    /// <summary>Everything but the head.</summary>
    [field: ComponentName(Name = "model")]
    public BambaModel Model { get; }

    /// <summary>Weight [vocab_size, hidden_size]; null where it is tied to <see cref="BambaModel.EmbedTokens"/>.</summary>
    [field: ComponentName(Name = "lm_head")]
    public Linear? LmHead { get; }

    /// <summary>The matrix of the head, its own or the tied one, [vocab_size, hidden_size].</summary>
    public Parameter HeadWeight => LmHead?.weight ?? Model.EmbedTokens.Weight;

    /// <summary>Parameters of the model, a tied head's counted once.</summary>
    public long ParameterCount => parameters().Sum(parameter => parameter.numel());

    /// <summary>Computes logits, and the loss where there are labels.</summary>
    /// <exception cref="ArgumentException">The inputs are malformed or contradict each other; the message says how.</exception>
    public override BambaOutputs forward(BambaInputs input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        TokenLayout layout = TokenLayoutReader.Read(input, Model.Layers.Count);
        Tensor? targets = Targets(input, layout);
        BambaModelOutputs model = Model.Compute(input, layout);
        Tensor logits = nn.functional.linear(input.LogitsToKeep.Select(model.LastHiddenState), HeadWeight);
        CausalLoss? loss = targets is null
            ? null
            : CausalLoss.Of(logits, targets, layout.RealAsGiven(), Config.ZLossCoefficient, input.NumItemsInBatch);
        var outputs = new BambaOutputs(model, logits) { Loss = loss?.Total, ZLoss = loss?.ZLoss };
        outputs.MoveOutOf(scope);
        return outputs;
    }

    /// <summary>Fills every parameter from a checkpoint file, converting it to the parameter's type.</summary>
    /// <exception cref="BambaFormatException">A tensor is missing, unknown, or of a wrong shape or type.</exception>
    public void Load(SafetensorsFile file) => ParameterLoader.Load(this, file);

    private static Tensor? Targets(BambaInputs input, TokenLayout layout)
    {
        if ((input.ShiftLabels ?? input.Labels) is not { } labels)
        {
            return null;
        }
        string name = input.ShiftLabels is null ? nameof(input.Labels) : nameof(input.ShiftLabels);
        InputChecks.RequireInteger(labels, name, 2);
        InputChecks.RequireShape(labels, name, layout.Lengths.Length, layout.Tokens);
        if (!input.LogitsToKeep.IsAll)
        {
            throw new ArgumentException($"LogitsToKeep: expected all with {name}", nameof(input));
        }
        Tensor wide = labels.to_type(ScalarType.Int64);
        return input.ShiftLabels is null ? layout.NextLabels(wide) : layout.WithoutPadding(wide);
    }
}
