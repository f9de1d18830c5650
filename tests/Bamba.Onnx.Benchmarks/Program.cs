using Bamba.Onnx.Benchmarks;

switch (args)
{
    case ["export-memory", .. var sizes]:
        ExportMemory.Measure(sizes.Length > 0 ? sizes : ["1e9", "4e9"]);
        return 0;
    case ["sampling"]:
        SamplingTime.Measure();
        return 0;
    default:
        Console.Error.WriteLine(
            """
            usage: export-memory [BYTES...]   peak private memory of exporting synthetic checkpoints
                   sampling                   median time to choose a token
            """
        );
        return 2;
}
