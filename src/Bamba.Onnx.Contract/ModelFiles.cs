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

    /// <summary>Weights that all graphs of a model folder share, where <see cref="ExportLayout"/> puts them nowhere else.</summary>
    public const string Weights = "model.onnx.data";

    /// <summary>What ONNX Runtime GenAI reads.</summary>
    public const string GenAIConfig = "genai_config.json";

    /// <summary>What an export says of itself: <see cref="ModelManifest"/>.</summary>
    public const string Manifest = "bamba.json";

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
