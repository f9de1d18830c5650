using Bamba.Onnx.Benchmarks;

switch (args)
{
    case ["export-memory", .. var sizes]:
        ExportMemory.Measure(sizes.Length > 0 ? sizes : ["1e9", "4e9"]);
        return 0;
    case ["genai-decode", var library]:
        GenAIDecode.Measure(library);
        return 0;
    case ["app-start", var program]:
        AppStart.Measure(program);
        return 0;
    case ["context", var model]:
        ContextTime.Measure(model);
        return 0;
    case ["context-chart"]:
        ContextChart.Write();
        return 0;
    case ["quantize"]:
        QuantizeTime.Measure();
        return 0;
    case ["matmul-nbits"]:
        MatMulNBitsTime.Measure();
        return 0;
    case ["sampling"]:
        SamplingTime.Measure();
        return 0;
    case ["scan"]:
        ScanTime.Measure();
        return 0;
    case ["token-overhead"]:
        await TokenOverhead.MeasureAsync();
        return 0;
    default:
        Console.Error.WriteLine(
            """
            usage: export-memory [BYTES...]   peak private memory of exporting synthetic checkpoints
                   genai-decode LIBRARY       time of a decoded token against ONNX Runtime GenAI, whose library has ONNX Runtime beside it
                   app-start PROGRAM          time to the first token of an application of the template, published ahead of time
                   context MODEL              time of a decoded token by the tokens before it, and how much of it attention takes
                   context-chart              draws the record of that again
                   quantize                   speed of quantizing weights on one core, and what the search gains
                   matmul-nbits               time of Bamba-9B's products with quantized weights against ONNX Runtime's own operator
                   sampling                   median time to choose a token
                   scan                       time of a Bamba-9B layer's scan against the function body and ONNX Runtime's own operators
                   token-overhead             time of a generated token outside ONNX Runtime
            """
        );
        return 2;
}
