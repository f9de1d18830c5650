namespace Bamba.Onnx.Cli.Contracts;

/// <summary>The programs that load a model folder, and that a rule protects.</summary>
[Flags]
internal enum ContractHost
{
    /// <summary>Any program on ONNX Runtime alone, in any language.</summary>
    OnnxRuntime = 1,

    /// <summary>ONNX Runtime GenAI, which takes <c>model.onnx</c> by <c>genai_config.json</c>.</summary>
    GenAI = 2,

    /// <summary>transformers.js, which takes a graph of <c>onnx/</c> by <c>config.json</c>.</summary>
    TransformersJs = 4,

    /// <summary>The library of this project, which takes <c>runtime.onnx</c> by <c>bamba.json</c>.</summary>
    BambaOnnx = 8,
}

/// <summary>The names of hosts.</summary>
internal static class ContractHosts
{
    /// <summary>What each host of a set calls itself.</summary>
    public static IReadOnlyList<string> Names(this ContractHost hosts) =>
        [.. Enum.GetValues<ContractHost>().Where(host => hosts.HasFlag(host)).Select(NameOf)];

    private static string NameOf(ContractHost host) =>
        host switch
        {
            ContractHost.OnnxRuntime => "any ONNX Runtime",
            ContractHost.GenAI => "GenAI",
            ContractHost.TransformersJs => "transformers.js",
            ContractHost.BambaOnnx => "Bamba.Onnx",
            _ => throw new ArgumentOutOfRangeException(nameof(host), host, null),
        };
}
