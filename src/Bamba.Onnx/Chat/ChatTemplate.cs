using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Chat;

/// <summary>The chat template of a model folder.</summary>
/// <param name="File">Where it was found.</param>
/// <param name="Text">The template.</param>
/// <param name="BeginToken">The token that the template's <c>bos_token</c> stands for; null where it has no such variable or nobody says what it is.</param>
internal sealed record ChatTemplate(string File, string Text, string? BeginToken)
{
    private const string Variable = "bos_token";

    /// <summary>The folder's template, or null where it has none. A file of its own comes before the tokenizer's configuration.</summary>
    /// <exception cref="BambaFormatException">A file is damaged.</exception>
    public static ChatTemplate? Find(string folder)
    {
        string configPath = Path.Combine(folder, ModelFiles.TokenizerConfig);
        using JsonDocument? config = System.IO.File.Exists(configPath) ? JsonFile.Read(configPath) : null;
        JsonAt? json = config is null ? null : new JsonAt(config.RootElement, configPath, "");
        string path = Path.Combine(folder, ModelFiles.ChatTemplate);
        string? text = null;
        if (System.IO.File.Exists(path))
        {
            text = System.Text.Encoding.UTF8.GetString(JsonFile.ReadAllBytes(path));
        }
        else if (json?.Find("chat_template") is { } inConfig)
        {
            (path, text) = (configPath, DefaultOf(inConfig));
        }
        if (string.IsNullOrWhiteSpace(text))
        {
            return null;
        }
        bool hasVariable = text.Contains(Variable, StringComparison.Ordinal);
        return new ChatTemplate(path, text, hasVariable && json?.Find(Variable) is { } token ? ContentOf(token) : null);
    }

    /// <summary>A checkpoint with several templates lists them by name.</summary>
    private static string? DefaultOf(JsonAt json)
    {
        if (json.Element.ValueKind != JsonValueKind.Array)
        {
            return json.Text();
        }
        foreach (JsonAt entry in json.Items())
        {
            if (entry.Get("name").Text() == "default")
            {
                return entry.Get("template").Text();
            }
        }
        throw json.Error("expected a template named default, found none");
    }

    /// <summary>A token is its text, or an object with it.</summary>
    private static string ContentOf(JsonAt token) =>
        token.Element.ValueKind == JsonValueKind.Object ? token.Get("content").Text() : token.Text();
}
