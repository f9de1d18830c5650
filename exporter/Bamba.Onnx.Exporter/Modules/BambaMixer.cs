using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// The Mamba-2 mixer (Dao and Gu 2024; Hugging Face's <c>BambaMixer</c>): projection to gate, convolved x, B, C and time
/// step; scan; gated norm; projection back. Time steps, decays and the state are float32 at least. Padding changes neither
/// state.
/// </summary>
public sealed class BambaMixer : BambaModule<LayerInput, LayerOutput>
{
    /// <summary>Creates the mixer of one layer.</summary>
    public BambaMixer(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        InProj = options.NewLinear(config.HiddenSize, config.MambaProjectionSize, config.MambaProjBias);
        Conv1d = new CausalConv1d(ChildPath("conv1d"), config, options);
        ALog = options.NewParameter(config.MambaNumHeads);
        D = options.NewParameter(config.MambaNumHeads);
        DtBias = options.NewParameter(config.MambaNumHeads);
        Norm = new GatedRmsNorm(ChildPath("norm"), config, options);
        OutProj = options.NewLinear(config.MambaInnerSize, config.HiddenSize, config.MambaProjBias);
        RegisterComponents();
    }

    /// <summary>Weight [E + conv_dim + H, hidden_size]: rows of the gate z, of x, B and C, of dt.</summary>
    [field: ComponentName(Name = "in_proj")]
    public Linear InProj { get; }

    /// <summary>The convolution over x, B and C.</summary>
    [field: ComponentName(Name = "conv1d")]
    public CausalConv1d Conv1d { get; }

    /// <summary>log(−A), [H].</summary>
    [field: ComponentName(Name = "A_log")]
    public Parameter ALog { get; }

    /// <summary>The skip, [H].</summary>
    [field: ComponentName(Name = "D")]
    public Parameter D { get; }

    /// <summary>What is added to the time step before softplus, [H].</summary>
    [field: ComponentName(Name = "dt_bias")]
    public Parameter DtBias { get; }

    /// <summary>The norm between scan and <see cref="OutProj"/>.</summary>
    [field: ComponentName(Name = "norm")]
    public GatedRmsNorm Norm { get; }

    /// <summary>Weight [hidden_size, E].</summary>
    [field: ComponentName(Name = "out_proj")]
    public Linear OutProj { get; }

    /// <summary>Mixes tokens.</summary>
    public override LayerOutput forward(LayerInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        var past = (MambaLayerCache?)input.Past;
        Tensor[] parts = InProj
            .call(input.Hidden)
            .split([Config.MambaInnerSize, Config.MambaConvDim, Config.MambaNumHeads], -1);
        (Tensor gate, Tensor convInput, Tensor rawSteps) = (parts[0], parts[1], parts[2]);

        int taps = Config.MambaConvKernel;
        Tensor earlier =
            past?.ConvState.transpose(1, 2)
            ?? zeros([convInput.shape[0], taps - 1, Config.MambaConvDim], convInput.dtype, convInput.device);
        Tensor window = cat([earlier, convInput], 1);
        Tensor convolved = Conv1d.call((window, input.Layout.Segments));
        Mamba2ScanOutput scan = Scan(convolved, TimeSteps(rawSteps, input.Layout), past, input.Layout);

        Tensor normed = Norm.call((scan.Y.flatten(-2), gate)).to_type(input.Hidden.dtype);
        MambaLayerCache? present = input.UseCache
            ? new(input.Layout.LastOf(window, taps - 1).transpose(1, 2).contiguous(), scan.FinalState)
            : null;
        return new LayerOutput(OutProj.call(normed), present, null).MoveToOuterDisposeScope();
    }

    private Mamba2ScanOutput Scan(Tensor convolved, Tensor steps, MambaLayerCache? past, TokenLayout layout)
    {
        long groupWidth = (long)Config.MambaNumGroups * Config.MambaStateSize;
        Tensor[] parts = convolved.Widen().split([Config.MambaInnerSize, groupWidth, groupWidth], -1);
        return Mamba2Scan.Run(
            new Mamba2ScanInput
            {
                X = parts[0].unflatten(2, Config.MambaNumHeads, Config.MambaHeadDim),
                TimeSteps = steps,
                A = -ALog.Widen().exp(),
                B = parts[1].unflatten(2, Config.MambaNumGroups, Config.MambaStateSize),
                C = parts[2].unflatten(2, Config.MambaNumGroups, Config.MambaStateSize),
                D = D.Widen(),
                InitialState = past?.RecurrentState,
                Segments = layout.Segments,
                ChunkSize = Config.MambaChunkSize,
            }
        );
    }

    /// <summary>dt, [batch, tokens, H]; 0 for padding, which leaves the state as it is.</summary>
    private Tensor TimeSteps(Tensor raw, TokenLayout layout)
    {
        Tensor steps = nn.functional.softplus(raw.Widen().Plus(DtBias.Widen()));
        // An infinite limit is no limit, and softplus is positive: most models have nothing to clamp.
        if (Config.TimeStepMin > 0 || float.IsFinite(Config.TimeStepMax))
        {
            steps = steps.clamp(Config.TimeStepMin, Config.TimeStepMax);
        }
        return layout.Real is { } real ? steps.Fill(real.unsqueeze(-1).logical_not(), 0) : steps;
    }
}
