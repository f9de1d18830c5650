using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Text;

/// <summary>Reads <c>model</c>: a byte-level BPE vocabulary and its merges.</summary>
internal static class BpeReader
{
    /// <summary>The highest id: far above every vocabulary, and low enough that tables over ids stay small.</summary>
    public const int HighestId = (1 << 24) - 1;

    /// <exception cref="BambaFormatException">The model is damaged or of a kind that is not supported.</exception>
    public static BpeModel Read(JsonAt json)
    {
        JsonAt type = json.Get("type");
        if (type.Text() != "BPE")
        {
            throw type.Expected("BPE");
        }
        RefuseWhatChangesTokens(json);
        Dictionary<string, int> vocabulary = ReadVocabulary(json.Get("vocab"));
        return new BpeModel(
            vocabulary,
            ReadMerges(json.Get("merges"), vocabulary),
            json.Find("ignore_merges")?.Bool() ?? false
        );
    }

    /// <summary>
    /// <c>unk_token</c>, <c>fuse_unk</c> and <c>byte_fallback</c> need no look: with a token for every byte nothing is unknown.
    /// </summary>
    private static void RefuseWhatChangesTokens(JsonAt json)
    {
        if (json.Find("dropout") is { } dropout && dropout.Element.GetRawText() is not ("0" or "0.0"))
        {
            throw dropout.Expected("null");
        }
        foreach (string key in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (json.Find(key) is { } affix && affix.Text().Length > 0)
            {
                throw affix.Expected("null or an empty string");
            }
        }
    }

    private static Dictionary<string, int> ReadVocabulary(JsonAt json)
    {
        if (json.Element.ValueKind != JsonValueKind.Object)
        {
            throw json.Expected("an object");
        }
        var ids = new Dictionary<string, int>(json.Element.GetPropertyCount());
        var tokens = new Dictionary<int, string>(ids.Capacity);
        foreach (JsonProperty entry in json.Element.EnumerateObject())
        {
            string token = Name(json, entry);
            bool valid = entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out _);
            int id = valid ? entry.Value.GetInt32() : -1;
            if (id is < 0 or > HighestId)
            {
                throw json.Error($"\"{token}\": expected an id from 0 to {HighestId}, found {entry.Value}");
            }
            if (!ids.TryAdd(token, id))
            {
                throw json.Error($"has the token \"{token}\" twice");
            }
            if (!tokens.TryAdd(id, token))
            {
                throw json.Error($"\"{tokens[id]}\" and \"{token}\" have the same id, {id}");
            }
        }
        for (int b = 0; b <= byte.MaxValue; b++)
        {
            string token = ByteAlphabet.ToChar((byte)b).ToString();
            if (!ids.ContainsKey(token))
            {
                throw json.Error($"is not byte-level: it has no token \"{token}\" for byte 0x{b:X2}");
            }
        }
        return ids;
    }

    private static string Name(JsonAt json, JsonProperty entry)
    {
        try
        {
            return entry.Name;
        }
        catch (InvalidOperationException)
        {
            throw json.Error("has a token that is not valid Unicode");
        }
    }

    private static Dictionary<(int, int), BpeMerge> ReadMerges(JsonAt json, Dictionary<string, int> vocabulary)
    {
        var merges = new Dictionary<(int, int), BpeMerge>(json.Count);
        foreach (JsonAt merge in json.Items())
        {
            (string left, string right) = ReadPair(merge);
            int result = Id(merge, left + right, vocabulary);
            var pair = (Id(merge, left, vocabulary), Id(merge, right, vocabulary));
            if (!merges.TryAdd(pair, new BpeMerge(merges.Count, result)))
            {
                throw merge.Error($"\"{left}\" and \"{right}\" are merged twice");
            }
        }
        return merges;
    }

    private static int Id(JsonAt merge, string token, Dictionary<string, int> vocabulary) =>
        vocabulary.TryGetValue(token, out int id)
            ? id
            : throw merge.Error($"the token \"{token}\" is not in model.vocab");

    private static (string Left, string Right) ReadPair(JsonAt merge)
    {
        string[] parts =
            merge.Element.ValueKind == JsonValueKind.Array
                ? [.. merge.Items().Select(item => item.Text())]
                : merge.Text().Split(' ');
        // Byte-level tokens spell the space as another character, and the library takes its merges separated by one.
        bool valid = parts.Length == 2 && Array.TrueForAll(parts, part => part.Length > 0 && !part.Contains(' '));
        return valid ? (parts[0], parts[1]) : throw merge.Expected("two byte-level tokens");
    }
}
