using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>Every rule, in the order in which a person would look.</summary>
internal static class ContractRules
{
    public static IReadOnlyList<ContractRule> All { get; } =
    [
        .. GraphRules.All,
        .. SignatureRules.Of(GraphProfile.Portable, ContractHost.GenAI),
        .. GenAIRules.All,
        .. SignatureRules.Of(GraphProfile.Runtime, ContractHost.BambaOnnx),
        .. SignatureRules.Of(GraphProfile.Web, ContractHost.TransformersJs),
        .. TransformersJsRules.All,
        .. FolderRules.All,
    ];

    /// <summary>Holds a folder against every rule, running none of the hosts.</summary>
    /// <exception cref="BambaFormatException">The folder is no exported model, or bamba.json or config.json is damaged.</exception>
    public static IReadOnlyList<ContractResult> Check(string folder)
    {
        var read = ContractFolder.Open(folder);
        return [.. All.Select(rule => rule.Check(read))];
    }
}
