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

    /// <summary>Writes those that the graphs of a layout need.</summary>
    /// <exception cref="BambaFormatException">A file of the checkpoint is damaged.</exception>
    public static void Write(
        string checkpoint,
        string folder,
        BambaConfig config,
        int contextLength,
        ExportLayout layout,
        int weightFiles
    )
    {
        if (layout.WebDtype is null)
        {
            Copy(ModelFiles.Config);
        }
        else
        {
            WebConfig.Write(checkpoint, folder, config, layout, weightFiles);
        }
        foreach (string name in CopiedWherePresent)
        {
            if (File.Exists(Path.Combine(checkpoint, name)))
            {
                Copy(name);
            }
        }
        TokenizerConfig.Write(checkpoint, folder, forWeb: layout.WebDtype is not null);
        if (layout.Profiles.Contains(GraphProfile.Portable))
        {
            GenAIConfig.Write(folder, config, contextLength);
        }

        void Copy(string name) => File.Copy(Path.Combine(checkpoint, name), Path.Combine(folder, name));
    }
}
