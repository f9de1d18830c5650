using System.Text.Encodings.Web;
using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Companions;

/// <summary>The files beside graphs and weights: those of the checkpoint that hosts read, and those that hosts want besides.</summary>
internal static class CompanionFiles
{
    /// <summary>JSON as people read it: indented, and with characters as they are.</summary>
    public static JsonSerializerOptions Readable { get; } =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly string[] CopiedWherePresent =
    [
        ModelFiles.GenerationConfig,
        ModelFiles.Tokenizer,
        ModelFiles.ChatTemplate,
        "special_tokens_map.json",
    ];

    /// <summary>Writes them.</summary>
    /// <exception cref="BambaFormatException">A file of the checkpoint is damaged.</exception>
    public static void Write(string checkpoint, string folder, BambaConfig config, int contextLength)
    {
        Copy(ModelFiles.Config);
        foreach (string name in CopiedWherePresent)
        {
            if (File.Exists(Path.Combine(checkpoint, name)))
            {
                Copy(name);
            }
        }
        TokenizerConfig.Write(checkpoint, folder);
        GenAIConfig.Write(folder, config, contextLength);

        void Copy(string name) => File.Copy(Path.Combine(checkpoint, name), Path.Combine(folder, name));
    }
}
