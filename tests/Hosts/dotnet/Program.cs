// Continues token ids greedily with a model.onnx of bamba-onnx export, on ONNX Runtime alone.
//
//   echo "2043 84 101" | dotnet run --project tests/Hosts/dotnet -- MODEL [COUNT]
//
// A line of ids in, a line of COUNT ids out. This is the whole contract of a float32 export: the tokens of a call and a mask of
// all tokens so far go in, scores come out, and every output present… is the input past_key_values… of the next call.
using System.Globalization;
using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntime;

using var session = new InferenceSession(Path.Combine(args[0], "model.onnx"));
string[] pasts = [.. session.InputNames.Where(name => name.StartsWith("past_key_values", StringComparison.Ordinal))];
string[] outputs =
[
    "logits",
    .. pasts.Select(name => name.Replace("past_key_values", "present", StringComparison.Ordinal)),
];
int count = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 48;
while (Console.ReadLine() is { } line)
{
    long[] prompt = [.. line.Split(' ').Select(id => long.Parse(id, CultureInfo.InvariantCulture))];
    Console.WriteLine(string.Join(' ', Generate(prompt)));
}
Console.Error.WriteLine($"Microsoft.ML.OnnxRuntime {OrtEnv.Instance().GetVersionString()}");

List<long> Generate(long[] prompt)
{
    using var options = new RunOptions();
    var tokens = new List<long>();
    OrtValue[] caches = [.. pasts.Select(EmptyCache)];
    for (long[] next = prompt; tokens.Count < count; next = [tokens[^1]])
    {
        long[] mask = [.. Enumerable.Repeat(1L, prompt.Length + tokens.Count)];
        using OrtValue ids = OrtValue.CreateTensorValueFromMemory(next, [1, next.Length]);
        using OrtValue attention = OrtValue.CreateTensorValueFromMemory(mask, [1, mask.Length]);
        OrtValue[] results =
        [
            .. session.Run(options, ["input_ids", "attention_mask", .. pasts], [ids, attention, .. caches], outputs),
        ];
        using OrtValue logits = results[0];
        tokens.Add(Likeliest(logits));
        Array.ForEach(caches, cache => cache.Dispose());
        caches = results[1..];
    }
    Array.ForEach(caches, cache => cache.Dispose());
    return tokens;
}

// At first states are zeros, and keys and values have no tokens: of the axes with names, -1 here, only the batch has a size.
OrtValue EmptyCache(string name)
{
    NodeMetadata input = session.InputMetadata[name];
    long[] shape = [1, .. input.Dimensions.Skip(1).Select(size => Math.Max(size, 0L))];
    OrtValue zeros = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, input.ElementDataType, shape);
    zeros.GetTensorMutableRawData().Clear();
    return zeros;
}

long Likeliest(OrtValue logits)
{
    int vocabulary = (int)logits.GetTensorTypeAndShape().Shape[^1];
    return TensorPrimitives.IndexOfMax(logits.GetTensorDataAsSpan<float>()[^vocabulary..]);
}
