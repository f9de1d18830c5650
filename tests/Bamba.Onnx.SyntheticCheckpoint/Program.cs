using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.SyntheticCheckpoint;

var folder = new Argument<string>("out") { Description = "The folder to write." };
var config = new Option<string>("--config") { Description = "The config.json of the model's shape.", Required = true };
var bytes = new Option<long?>("--bytes")
{
    Description =
        "Size of the weights, such as 4e9: layers and widths change to come near it. As the config says by default.",
    CustomParser = ParseBytes,
};
var maxShardSize = new Option<long>("--max-shard-size")
{
    Description = "Most bytes of tensors in a file, such as 1e9.",
    DefaultValueFactory = _ => SyntheticCheckpointOptions.DefaultMaxShardBytes,
    CustomParser = result => ParseBytes(result) ?? 0,
};
var dtype = new Option<ElementType>("--dtype")
{
    Description = "The element type: bf16, f16 or f32.",
    HelpName = "dtype",
    DefaultValueFactory = _ => ElementType.BFloat16,
    CustomParser = ParseType,
};
var seed = new Option<ulong>("--seed") { Description = "What the values follow from.", DefaultValueFactory = _ => 1 };

var command = new RootCommand("Writes a random Bamba checkpoint of any size.")
{
    folder,
    config,
    bytes,
    maxShardSize,
    dtype,
    seed,
};
command.SetAction(arguments =>
{
    try
    {
        SyntheticCheckpointSummary summary = SyntheticCheckpointWriter.Write(
            arguments.GetRequiredValue(folder),
            File.ReadAllBytes(arguments.GetRequiredValue(config)),
            new SyntheticCheckpointOptions
            {
                Bytes = arguments.GetValue(bytes),
                MaxShardBytes = arguments.GetValue(maxShardSize),
                Dtype = arguments.GetValue(dtype),
                Seed = arguments.GetValue(seed),
            }
        );
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{summary.TensorBytes:N0} bytes in {summary.Tensors} tensors, {summary.Files} files"
            )
        );
        return 0;
    }
    catch (Exception e) when (e is BambaException or IOException or UnauthorizedAccessException or ArgumentException)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }
});
return command.Parse(args).Invoke();

static long? ParseBytes(ArgumentResult result)
{
    string text = result.Tokens.Single().Value;
    if (
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
        && value is >= 1 and < long.MaxValue
    )
    {
        return (long)value;
    }
    result.AddError($"expected a number of bytes such as 4e9, found {text}");
    return null;
}

static ElementType ParseType(ArgumentResult result)
{
    string text = result.Tokens.Single().Value;
    if (!ElementTypes.TryParse(text, out ElementType type) || type is ElementType.Int32 or ElementType.Int64)
    {
        result.AddError($"expected bf16, f16 or f32, found {text}");
    }
    return type;
}
