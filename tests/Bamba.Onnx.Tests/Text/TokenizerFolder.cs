using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>A small byte-level tokenizer in the shape of Llama 3's, which tests change key by key, in a folder of its own.</summary>
internal sealed class TokenizerFolder : IDisposable
{
    public const string Llama3Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private readonly string folder = Directory.CreateTempSubdirectory("bamba-tokenizer-").FullName;

    /// <summary>The bytes have the ids 0 to 255; behind them come the tokens of the merges, then the added ones.</summary>
    public TokenizerFolder(params (string Left, string Right)[] merges)
    {
        var vocabulary = new JsonObject();
        for (int b = 0; b < 256; b++)
        {
            vocabulary[ByteAlphabet.ToChar((byte)b).ToString()] = b;
        }
        var list = new JsonArray();
        foreach ((string left, string right) in merges)
        {
            vocabulary.TryAdd(left + right, vocabulary.Count);
            list.Add(new JsonArray(left, right));
        }
        Json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = Sequence("pretokenizers", Split(Llama3Pattern), ByteLevel(useRegex: false)),
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(useRegex: true),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = list,
            },
        };
    }

    /// <summary>What <see cref="Load"/> writes to <c>tokenizer.json</c>.</summary>
    public JsonObject Json { get; }

    public JsonObject Model => Json["model"]!.AsObject();

    public JsonObject Vocabulary => Model["vocab"]!.AsObject();

    public string Path => folder;

    public string File => System.IO.Path.Combine(folder, ModelFiles.Tokenizer);

    public static JsonObject Sequence(string key, params JsonNode[] steps) =>
        new() { ["type"] = "Sequence", [key] = new JsonArray(steps) };

    public static JsonObject Split(string pattern, string behavior = "Isolated", bool invert = false) =>
        new()
        {
            ["type"] = "Split",
            ["pattern"] = new JsonObject { ["Regex"] = pattern },
            ["behavior"] = behavior,
            ["invert"] = invert,
        };

    public static JsonObject ByteLevel(bool useRegex, bool addPrefixSpace = false) =>
        new()
        {
            ["type"] = "ByteLevel",
            ["add_prefix_space"] = addPrefixSpace,
            ["trim_offsets"] = true,
            ["use_regex"] = useRegex,
        };

    /// <summary>Adds a token and returns its id.</summary>
    public int Add(
        string content,
        bool special = true,
        bool lstrip = false,
        bool rstrip = false,
        bool singleWord = false,
        bool normalized = false
    )
    {
        JsonArray added = Json["added_tokens"]!.AsArray();
        int id = Vocabulary.Count + added.Count;
        added.Add(
            new JsonObject
            {
                ["id"] = id,
                ["content"] = content,
                ["single_word"] = singleWord,
                ["lstrip"] = lstrip,
                ["rstrip"] = rstrip,
                ["normalized"] = normalized,
                ["special"] = special,
            }
        );
        return id;
    }

    public void WriteConfig(string json) =>
        System.IO.File.WriteAllText(System.IO.Path.Combine(folder, ModelFiles.TokenizerConfig), json);

    public BambaTokenizer Load()
    {
        System.IO.File.WriteAllText(File, Json.ToJsonString());
        return LoadAsItIs();
    }

    public BambaTokenizer LoadAsItIs() => BambaTokenizer.Load(folder);

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
