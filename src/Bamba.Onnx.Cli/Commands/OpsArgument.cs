using System.CommandLine;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>--ops</c>: what computes the scan of Mamba layers.</summary>
internal static class OpsArgument
{
    public static Option<CustomOps> Create() =>
        new("--ops")
        {
            Description =
                "What computes the scan of Mamba layers: the native library beside the command where there is one (auto), the function in the model's file (off), or the library at PATH.",
            HelpName = "auto|off|PATH",
            DefaultValueFactory = _ => CustomOps.Auto,
            CustomParser = result =>
                result.Tokens[0].Value switch
                {
                    "auto" => CustomOps.Auto,
                    "off" => CustomOps.Off,
                    var path => CustomOps.FromFile(path),
                },
        };
}
