using System.Globalization;

namespace Bamba.Onnx.Contract;

/// <summary>The names of files in checkpoint folders and model folders.</summary>
public static class ModelFiles
{
    /// <summary>The architecture, Hugging Face's.</summary>
    public const string Config = "config.json";

    /// <summary>Sampling defaults and end tokens, Hugging Face's.</summary>
    public const string GenerationConfig = "generation_config.json";

    /// <summary>The tokenizer, Hugging Face tokenizers'.</summary>
    public const string Tokenizer = "tokenizer.json";

    /// <summary>The tokenizer's names and template.</summary>
    public const string TokenizerConfig = "tokenizer_config.json";

    /// <summary>The conversation template, Jinja.</summary>
    public const string ChatTemplate = "chat_template.jinja";

    /// <summary>Weights of a checkpoint in one file.</summary>
    public const string Checkpoint = "model.safetensors";

    /// <summary>The map from tensor to file of a sharded checkpoint.</summary>
    public const string CheckpointIndex = "model.safetensors.index.json";

    /// <summary>
    /// Weights that all graphs of a model folder share, where <see cref="ExportLayout"/> puts them nowhere else; the first of several
    /// such files.
    /// </summary>
    public const string Weights = "model.onnx.data";

    /// <summary>What ONNX Runtime GenAI reads.</summary>
    public const string GenAIConfig = "genai_config.json";

    /// <summary>What an export says of itself: <see cref="ModelManifest"/>.</summary>
    public const string Manifest = "bamba.json";

    /// <summary>
    /// A file of weights that are split over several, named as transformers.js names them: <c>model.onnx.data</c>,
    /// <c>model.onnx.data_1</c>, …
    /// </summary>
    /// <param name="first">The first file, with or without its folder.</param>
    /// <param name="index">Which one, from 0.</param>
    public static string Shard(string first, int index)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return index == 0 ? first : string.Create(CultureInfo.InvariantCulture, $"{first}_{index}");
    }

    /// <summary>Whether a file holds weights, all or some.</summary>
    /// <param name="name">The file.</param>
    /// <param name="first">The first file of the folder's weights, or the only one.</param>
    public static bool IsWeights(string name, string first)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(first);
        return name.StartsWith(first, StringComparison.Ordinal)
            && (
                name.Length == first.Length
                || (
                    int.TryParse(name.AsSpan(first.Length + 1), CultureInfo.InvariantCulture, out int index)
                    && index > 0
                    && name == Shard(first, index)
                )
            );
    }

    /// <summary>The file of a profile's graph whose name depends on nothing else; <see cref="ExportLayout"/> knows all.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="profile"/> is neither portable nor runtime.</exception>
    public static string Graph(GraphProfile profile) =>
        profile switch
        {
            GraphProfile.Portable => "model.onnx",
            GraphProfile.Runtime => "runtime.onnx",
            _ => throw new ArgumentOutOfRangeException(nameof(profile), profile, null),
        };
}
