using System.Text.Json.Nodes;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>How large a published application of the template is, and how soon it writes.</summary>
internal static class AppStart
{
    private const string Prompt = "To be, or not to be";
    private const int Runs = 21;

    /// <summary>Measures <c>dotnet new bamba --aot</c>, published.</summary>
    public static void Measure(string program)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(program))!;
        double[] times =
        [
            .. Enumerable.Range(0, Runs).Select(_ => FirstToken.TimeTo(program, Prompt).TotalMilliseconds).Order(),
        ];
        var record = new JsonObject
        {
            ["what"] =
                "an application of the template with bamba-tiny-shakespeare in float32, published ahead of time: milliseconds from the start of the process to the first token on its standard output",
            ["machine"] = Measured.Machine,
            ["runs"] = Runs,
            ["limit"] = 400,
            ["median"] = Math.Round(times[Runs / 2]),
            ["fastest"] = Math.Round(times[0]),
            ["slowest"] = Math.Round(times[^1]),
            ["program_bytes"] = new FileInfo(program).Length,
            ["native_libraries_bytes"] = Directory.GetFiles(folder, "*.so").Sum(file => new FileInfo(file).Length),
            ["model_bytes"] = Directory.GetFiles(Path.Combine(folder, "model")).Sum(file => new FileInfo(file).Length),
        };
        Console.WriteLine(record.ToJsonString());
        Measured.Write("app-start.json", record);
    }
}
