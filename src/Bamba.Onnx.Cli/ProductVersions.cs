using System.Reflection;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli;

/// <summary>The versions that a report of a problem or of a speed must name.</summary>
/// <param name="BambaOnnx">This command, with the commit it was built from where the build knew it.</param>
/// <param name="OnnxRuntime">The native ONNX Runtime that is loaded.</param>
/// <param name="DotNet">The .NET runtime.</param>
internal sealed record ProductVersions(string BambaOnnx, string OnnxRuntime, string DotNet)
{
    public static ProductVersions OfProcess() =>
        new(
            typeof(ProductVersions)
                .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
                .InformationalVersion,
            OrtEnv.Instance().GetVersionString(),
            Environment.Version.ToString()
        );

    /// <summary>The command's version without the commit.</summary>
    public string Release => BambaOnnx.Split('+')[0];

    public override string ToString() => $"bamba-onnx {Release}, ONNX Runtime {OnnxRuntime}, .NET {DotNet}";
}
