using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Fresh weights as Hugging Face makes them (<c>_init_weights</c>): training from scratch starts here.</summary>
internal static class ParameterInitializer
{
    /// <summary>Initialises a module and all below it; parameters on the meta device stay as they are.</summary>
    public static void Initialize(nn.Module root, BambaConfig config)
    {
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (nn.Module module in root.modules().Append(root).Distinct())
        {
            switch (module)
            {
                case Linear linear:
                    Normal(linear.weight!, config);
                    Fill(linear.bias, 0);
                    break;
                case TokenEmbedding embedding:
                    Normal(embedding.Weight, config);
                    if (config.PadTokenId is { } pad && pad >= 0 && pad < config.VocabSize)
                    {
                        Fill(embedding.Weight.select(0, pad), 0);
                    }
                    break;
                case CausalConv1d conv:
                    Normal(conv.Weight, config);
                    Fill(conv.Bias, 0);
                    break;
                case RmsNorm norm:
                    Fill(norm.Weight, 1);
                    break;
                case GatedRmsNorm norm:
                    Fill(norm.Weight, 1);
                    break;
                case BambaMixer mixer:
                    Fill(mixer.D, 1);
                    Fill(mixer.DtBias, 1);
                    CountUp(mixer.ALog);
                    break;
            }
        }
    }

    private static void Normal(Tensor parameter, BambaConfig config)
    {
        if (!IsMeta(parameter))
        {
            nn.init.normal_(parameter, 0, config.InitializerRange);
        }
    }

    private static void Fill(Tensor? parameter, double value)
    {
        if (parameter is not null && !IsMeta(parameter))
        {
            parameter.fill_(value);
        }
    }

    /// <summary>A = −1, −2, …, −H: heads that forget at different speeds.</summary>
    private static void CountUp(Parameter aLog)
    {
        if (!IsMeta(aLog))
        {
            aLog.copy_(arange(1, aLog.shape[0] + 1, ScalarType.Float64).log());
        }
    }

    private static bool IsMeta(Tensor tensor) => tensor.device_type == DeviceType.META;
}
