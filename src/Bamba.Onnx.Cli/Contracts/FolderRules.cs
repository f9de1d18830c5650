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
                "tokenizer.files",
                ContractHost.GenAI | ContractHost.TransformersJs | ContractHost.BambaOnnx,
                "tokenizer.json and tokenizer_config.json are there and are JSON",
                folder => folder.WithoutTokenizer(),
                folder =>
                    new[] { folder.Tokenizer, folder.TokenizerConfig }
                        .Where(json => json.Problem is not null)
                        .Select(json => json.Finding("a JSON object"))
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
