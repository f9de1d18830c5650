// Continues token ids greedily in ONNX Runtime GenAI, through its C interface, in each of the ways in which it calls a model.
//
//   … | dotnet run --project tests/Hosts/genai -- LIBRARY MODEL plain|chunked|batch|turns COUNT [OPS]
//
// Lines of ids in, lines of COUNT ids out. LIBRARY is libonnxruntime-genai; OPS the file name in MODEL of the library bamba_ops,
// which is optional. plain: one prompt after the other. chunked: the same, prompts fed three tokens at a time. batch: all
// prompts at once. turns: every line goes on where the last answer ended.
using System.Globalization;
using Bamba.Onnx.Hosts.GenAI;

const int ContextLength = 1024;
const int Chunk = 3;

(string library, string folder, string way) = (args[0], args[1], args[2]);
int count = int.Parse(args[3], CultureInfo.InvariantCulture);
string? overlay =
    args.Length > 4
        ? """{"model": {"decoder": {"session_options": {"custom_ops_library": "OPS"}}}}""".Replace(
            "OPS",
            args[4],
            StringComparison.Ordinal
        )
        : null;
int[][] prompts =
[
    .. Lines().Select(line => Array.ConvertAll(line.Split(' '), id => int.Parse(id, CultureInfo.InvariantCulture))),
];

using var model = new GenAIModel(library, folder, overlay);
IEnumerable<int[]> answers = way switch
{
    "plain" => prompts.Select(prompt => Continue(prompt)),
    "chunked" => prompts.Select(prompt => Continue(prompt, ("chunk_size", Chunk))),
    "batch" => ContinueTogether(),
    "turns" => ContinueInTurns(),
    _ => throw new ArgumentException($"expected plain, chunked, batch or turns, found {way}"),
};
foreach (int[] answer in answers)
{
    Console.WriteLine(string.Join(' ', answer));
}

int[] Continue(int[] prompt, params (string, double)[] search)
{
    using GenAIGenerator generator = model.Start([("max_length", ContextLength), .. search]);
    return Answer(generator, prompt);
}

IEnumerable<int[]> ContinueTogether()
{
    using GenAIGenerator generator = model.Start(("max_length", ContextLength), ("batch_size", prompts.Length));
    generator.Append(prompts);
    int width = prompts.Max(prompt => prompt.Length);
    for (int i = 0; i < count; i++)
    {
        generator.Next();
    }
    // Rows are as long as the longest, padding included.
    return [.. Enumerable.Range(0, prompts.Length).Select(row => generator.Tokens(row)[width..])];
}

IEnumerable<int[]> ContinueInTurns()
{
    using GenAIGenerator generator = model.Start(("max_length", ContextLength));
    return [.. prompts.Select(prompt => Answer(generator, prompt))];
}

int[] Answer(GenAIGenerator generator, int[] prompt)
{
    generator.Append(prompt);
    for (int i = 0; i < count; i++)
    {
        generator.Next();
    }
    return generator.Tokens(0)[^count..];
}

static IEnumerable<string> Lines()
{
    while (Console.ReadLine() is { } line)
    {
        yield return line;
    }
}
