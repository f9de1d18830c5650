// Continues texts with an exported model in ONNX Runtime GenAI on an NVIDIA device.
//
//   bamba-onnx export ./Bamba-9B-v2 -o bamba-out --dtype f16
//   dotnet run --project tests/Hosts/genai-cuda -- bamba-out [OPS]
//
// OPS is the file name in bamba-out of the library bamba_ops, with bamba_ops_cuda beside it; without it the functions in
// model.onnx compute the scans.
using Microsoft.ML.OnnxRuntimeGenAI;

using var handle = new OgaHandle();
using var config = new Config(args[0]);
config.ClearProviders();
config.AppendProvider("cuda");
if (args.Length > 1)
{
    config.Overlay(
        """{"model": {"decoder": {"session_options": {"custom_ops_library": "OPS"}}}}""".Replace(
            "OPS",
            args[1],
            StringComparison.Ordinal
        )
    );
}
using var model = new Model(config);
using var tokenizer = new Tokenizer(model);
using var parameters = new GeneratorParams(model);
parameters.SetSearchOption("max_length", 2048);
Console.Write("> ");
while (Console.ReadLine() is { } prompt)
{
    // One for each prompt: what is appended to an answer would not see its last token, which GenAI since 0.16 feeds only with
    // a next one, or, in C, where its scores are asked for.
    using var generator = new Generator(model, parameters);
    using Sequences ids = tokenizer.Encode(prompt);
    generator.AppendTokenSequences(ids);
    using TokenizerStream text = tokenizer.CreateStream();
    while (!generator.IsDone())
    {
        generator.GenerateNextToken();
        Console.Write(text.Decode(generator.GetSequence(0)[^1]));
    }
    Console.Write("\n> ");
}
