using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.SyntheticWeights;

var folder = new Argument<string>("model") { Description = "A folder of bamba-onnx export --no-weights." };
var seed = new Option<ulong>("--seed") { Description = "What the values follow from.", DefaultValueFactory = _ => 1 };
var noHash = new Option<bool>("--no-hash")
{
    Description = "Leave the hash of the weights out of the manifest: the model runs, but does not verify.",
};
var command = new RootCommand("Writes random weights beside a model's graphs.") { folder, seed, noHash };
command.SetAction(arguments =>
{
    try
    {
        var watch = Stopwatch.StartNew();
        long bytes = SyntheticWeightsWriter.Write(
            arguments.GetRequiredValue(folder),
            arguments.GetValue(seed),
            !arguments.GetValue(noHash)
        );
        Console.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} bytes in {watch.Elapsed.TotalSeconds:F1} s")
        );
        return 0;
    }
    catch (Exception e) when (e is BambaException or IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return command.Parse(args).Invoke();
