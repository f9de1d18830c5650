using System.CommandLine;
using System.Globalization;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>--device</c>: what a model runs on.</summary>
internal static class DeviceArgument
{
    private const string Cuda = "cuda";

    public static Option<Device> Create()
    {
        var option = new Option<Device>("--device")
        {
            Description =
                "Where the model runs: an NVIDIA device where there is one and ONNX Runtime's CUDA build (auto), the processor (cpu), or a device (cuda, cuda:N).",
            HelpName = "auto|cpu|cuda[:N]",
            DefaultValueFactory = _ => new Device(ExecutionProvider.Auto),
            CustomParser = result =>
            {
                string value = result.Tokens[0].Value;
                if (Parse(value) is { } device)
                {
                    return device;
                }
                result.AddError($"--device: expected auto, cpu, cuda or cuda:N, found '{value}'");
                return default;
            },
        };
        option.CompletionSources.Add("auto", "cpu", Cuda);
        return option;
    }

    private static Device? Parse(string value) =>
        value switch
        {
            "auto" => new Device(ExecutionProvider.Auto),
            "cpu" => new Device(ExecutionProvider.Cpu),
            Cuda => new Device(ExecutionProvider.Cuda),
            _ when value.StartsWith(Cuda + ':', StringComparison.Ordinal)
                    && int.TryParse(
                        value.AsSpan(Cuda.Length + 1),
                        NumberStyles.None,
                        CultureInfo.InvariantCulture,
                        out int id
                    ) => new Device(ExecutionProvider.Cuda, id),
            _ => null,
        };
}

/// <summary>What <c>--device</c> said.</summary>
internal readonly record struct Device(ExecutionProvider Provider, int Id = 0)
{
    /// <summary>Options that run a model here with the native operators of <c>--ops</c>.</summary>
    public BambaRuntimeOptions With(CustomOps ops) =>
        new()
        {
            CustomOps = ops,
            Provider = Provider,
            DeviceId = Id,
        };

    /// <summary>As the option takes it, which is how help shows a default.</summary>
    public override string ToString()
    {
        string provider = Provider.ToString().ToLowerInvariant();
        return Id == 0 ? provider : string.Create(CultureInfo.InvariantCulture, $"{provider}:{Id}");
    }
}
