using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Text;

/// <summary>Reads the <c>tokenizer.json</c> of Hugging Face's tokenizers library.</summary>
/// <remarks>
/// <c>truncation</c> and <c>padding</c> are left to the caller, as in Hugging Face's <c>AutoTokenizer</c>, and so is
/// <c>tokenizer_config.json</c>: beside a <c>tokenizer.json</c> its fields name tokens, but change no encoding, with the one
/// exception that is refused here.
/// </remarks>
internal static class TokenizerReader
{
    /// <exception cref="BambaFormatException">A file is missing, damaged, or asks for something that is not supported.</exception>
    public static BambaTokenizer Read(string folder)
    {
        string path = Path.Combine(folder, ModelFiles.Tokenizer);
        using JsonDocument document = JsonFile.Read(path);
        var json = new JsonAt(document.RootElement, path, "");
        RefuseUnsupported(json);
        RefuseSplitSpecialTokens(Path.Combine(folder, ModelFiles.TokenizerConfig));
        PreTokenizer preTokenizer = PreTokenizerReader.Read(json.Get("pre_tokenizer"));
        BpeModel model = BpeReader.Read(json.Get("model"));
        Dictionary<string, AddedToken> addedTokens = ReadAddedTokens(json, model.Vocabulary);
        var ids = model.Vocabulary.Values.Concat(addedTokens.Values.Select(token => token.Id)).ToHashSet();
        TokenTemplate template = TokenTemplate.Read(json.Find("post_processor"), ids.Contains);
        return new BambaTokenizer(preTokenizer, model, addedTokens, template);
    }

    private static void RefuseUnsupported(JsonAt json)
    {
        // Not even NFC: .NET leaves text as it is where it runs without ICU's data.
        if (json.Find("normalizer") is { } normalizer)
        {
            throw normalizer.Expected("null: normalizers are not supported");
        }
        JsonAt decoder = json.Get("decoder").Get("type");
        if (decoder.Text() != "ByteLevel")
        {
            throw decoder.Expected("ByteLevel");
        }
    }

    private static void RefuseSplitSpecialTokens(string path)
    {
        if (!File.Exists(path))
        {
            return;
        }
        using JsonDocument document = JsonFile.Read(path);
        if (new JsonAt(document.RootElement, path, "").Find("split_special_tokens") is { } split && split.Bool())
        {
            throw split.Expected("false: special tokens in text are always recognized");
        }
    }

    private static Dictionary<string, AddedToken> ReadAddedTokens(
        JsonAt json,
        IReadOnlyDictionary<string, int> vocabulary
    )
    {
        var tokens = new Dictionary<string, AddedToken>();
        var owners = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        foreach (JsonAt entry in json.Find("added_tokens")?.Items() ?? [])
        {
            AddedToken token = AddedToken.Read(entry);
            if (!tokens.TryAdd(token.Content, token))
            {
                throw entry.Error($"\"{token.Content}\" is added twice");
            }
            if (vocabulary.TryGetValue(token.Content, out int id) && id != token.Id)
            {
                throw entry.Error($"\"{token.Content}\" has the id {token.Id} here and {id} in model.vocab");
            }
            if (!owners.TryAdd(token.Id, token.Content) && owners[token.Id] != token.Content)
            {
                throw entry.Error($"the id {token.Id} of \"{token.Content}\" belongs to \"{owners[token.Id]}\"");
            }
        }
        return tokens;
    }
}
