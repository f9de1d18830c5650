using Bamba.Onnx;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;

string prompt = args.Length > 0 ? string.Join(' ', args) : "To be, or not to be";
var options = new GenerationOptions
{
    MaxNewTokens = 100,
    Sampling = new SamplingOptions { Temperature = 0.8, Seed = 1 },
};

using BambaRuntime runtime = BambaRuntime.Load(Path.Combine(AppContext.BaseDirectory, "model"));
Console.Write(prompt);
await foreach (string piece in runtime.GenerateAsync(prompt, options))
{
    Console.Write(piece);
}
Console.WriteLine();
