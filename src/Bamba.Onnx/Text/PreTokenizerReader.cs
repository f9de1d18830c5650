using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Text;

/// <summary>Reads <c>pre_tokenizer</c>: <c>Split</c> and <c>ByteLevel</c>, alone or in a <c>Sequence</c> that ends with ByteLevel.</summary>
internal static class PreTokenizerReader
{
    /// <summary>GPT-2's words, which <c>ByteLevel</c> implies unless it says <c>use_regex: false</c>.</summary>
    private const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <exception cref="BambaFormatException">A step is damaged or of a kind that is not supported.</exception>
    public static PreTokenizer Read(JsonAt json)
    {
        var steps = new List<IPreTokenizerStep>();
        bool byteLevel = false;
        foreach (JsonAt step in Flatten(json))
        {
            if (byteLevel)
            {
                throw step.Error("a step after ByteLevel is not supported");
            }
            byteLevel = ReadStep(step, steps);
        }
        return byteLevel
            ? new PreTokenizer(steps)
            : throw json.Error("expected a ByteLevel step at the end, found none");
    }

    private static IEnumerable<JsonAt> Flatten(JsonAt json) =>
        json.Get("type").Text() == "Sequence" ? json.Get("pretokenizers").Items().SelectMany(Flatten) : [json];

    /// <summary>Returns whether the step turns text into bytes.</summary>
    private static bool ReadStep(JsonAt json, List<IPreTokenizerStep> steps)
    {
        JsonAt type = json.Get("type");
        switch (type.Text())
        {
            case "Split":
                steps.Add(ReadSplit(json));
                return false;
            case "ByteLevel":
                ReadByteLevel(json, steps);
                return true;
            default:
                throw type.Expected("Split, ByteLevel or Sequence");
        }
    }

    private static void ReadByteLevel(JsonAt json, List<IPreTokenizerStep> steps)
    {
        if (json.Get("add_prefix_space").Bool())
        {
            steps.Add(new PrefixSpaceStep());
        }
        if (json.Find("use_regex")?.Bool() ?? true)
        {
            steps.Add(new SplitStep(new ScalarRegex(OnigurumaPattern.Parse(Gpt2Pattern)), true, true));
        }
    }

    private static SplitStep ReadSplit(JsonAt json)
    {
        ScalarRegex regex = ReadPattern(json.Get("pattern"));
        JsonAt behavior = json.Get("behavior");
        bool invert = json.Get("invert").Bool();
        return behavior.Text() switch
        {
            "Isolated" => new SplitStep(regex, keepMatches: true, keepGaps: true),
            // What is removed are the matches or, inverted, everything else.
            "Removed" => new SplitStep(regex, keepMatches: invert, keepGaps: !invert),
            _ => throw behavior.Expected("Isolated or Removed"),
        };
    }

    private static ScalarRegex ReadPattern(JsonAt json)
    {
        JsonAt? regex = json.Find("Regex");
        JsonAt source = regex ?? json.Find("String") ?? throw json.Expected("an object with Regex or String");
        string text = source.Text();
        if (text.Length == 0)
        {
            throw source.Error("expected a pattern, found an empty one");
        }
        try
        {
            return new ScalarRegex(regex is null ? OnigurumaPattern.ForLiteral(text) : OnigurumaPattern.Parse(text));
        }
        catch (FormatException e)
        {
            throw source.Error($"cannot be used as a pattern: {e.Message}");
        }
    }
}
