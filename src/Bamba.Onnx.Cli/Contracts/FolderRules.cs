using System.Globalization;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What hosts need of the files beside graphs.</summary>
internal static class FolderRules
{
    /// <summary>Transformers 5's name for a tokenizer without a class of its own, which older hosts refuse.</summary>
    private const string Transformers5Class = "TokenizersBackend";

    public static IEnumerable<ContractRule> All =>
        [
            new(
                "manifest.files",
                ContractHost.BambaOnnx,
                "the files that bamba.json names are there and as long as it says",
                _ => null,
                Files
            ),
            new(
                "tokenizer.file",
                ContractHost.GenAI | ContractHost.TransformersJs | ContractHost.BambaOnnx,
                "tokenizer.json is there and is JSON",
                folder => folder.WithoutTokenizer(),
                folder => Object(folder.Tokenizer)
            ),
            new(
                "tokenizer.config",
                ContractHost.GenAI | ContractHost.TransformersJs,
                "tokenizer_config.json is there and is JSON",
                folder => folder.WithoutTokenizer(),
                folder => Object(folder.TokenizerConfig)
            ),
            new(
                "tokenizer.class",
                ContractHost.GenAI | ContractHost.TransformersJs,
                "tokenizer_config.json names a class of transformers 4",
                folder =>
                    folder.WithoutTokenizer()
                    ?? (
                        folder.TokenizerConfig.Problem is null ? null : $"{folder.TokenizerConfig.File} cannot be read"
                    ),
                folder =>
                    folder.TokenizerConfig.TextAt("tokenizer_class") is null or Transformers5Class
                        ? [folder.TokenizerConfig.Finding("such as \"PreTrainedTokenizerFast\"", "tokenizer_class")]
                        : []
            ),
        ];

    /// <summary>Breaks a rule where a file cannot be read.</summary>
    public static IEnumerable<ContractFinding> Object(JsonFacts json) =>
        json.Problem is null ? [] : [json.Finding("a JSON object")];

    private static IEnumerable<ContractFinding> Files(ContractFolder folder) =>
        folder
            .Manifest.Files.Select(file => (file.Name, file.Bytes, Found: folder.BytesOf(file.Name)))
            .Where(file => file.Found != file.Bytes)
            .Select(file => new ContractFinding(
                file.Name,
                string.Create(CultureInfo.InvariantCulture, $"{file.Bytes} bytes"),
                file.Found is { } found ? string.Create(CultureInfo.InvariantCulture, $"{found} bytes") : "no such file"
            ));
}
