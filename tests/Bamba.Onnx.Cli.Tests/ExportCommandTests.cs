using System.Text.Json;
using Bamba.Onnx.Cli.Commands;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class ExportCommandTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("bamba-cli-export-").FullName;

    private string Target => Path.Combine(folder, "out");

    public void Dispose()
    {
        Directory.Delete(folder, recursive: true);
    }

    private string CopyOfCase(string name)
    {
        string copy = Path.Combine(folder, name);
        Directory.CreateDirectory(copy);
        foreach (string file in (string[])["config.json", "model.safetensors", "generation_config.json"])
        {
            File.Copy(Path.Combine(TestData.Case(name), file), Path.Combine(copy, file));
        }
        return copy;
    }

    /// <summary>The export is refused with a message, and nothing is left of it.</summary>
    private async Task<string> Refusal(string checkpoint, int exitCode, params string[] more)
    {
        string[] before = Directory.GetFileSystemEntries(folder);
        CliRun run = await CliRun.Of(["export", checkpoint, "-o", Target, .. more]);
        Assert.Equal((exitCode, ""), (run.ExitCode, run.Out));
        Assert.Equal(before.Order(), Directory.GetFileSystemEntries(folder).Order());
        Assert.StartsWith("error: ", run.Error);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        return run.Error;
    }

    [Fact]
    public async Task Profiles_are_chosen_and_missed_where_they_are_needed()
    {
        CliRun all = await CliRun.Of([
            "export",
            TestData.TinyShakespeare,
            "-o",
            Target,
            "--profiles",
            "portable,runtime,web",
        ]);
        Assert.Equal(0, all.ExitCode);
        CliRun inspection = await CliRun.Of(["inspect", Target, "--json"]);
        using (JsonDocument json = JsonDocument.Parse(inspection.Out))
        {
            Assert.Equal(
                ["model.onnx", "runtime.onnx", "onnx/model.onnx"],
                json.RootElement.GetProperty("graphs").EnumerateArray().Select(g => g.GetProperty("file").GetString())
            );
        }
        CliRun run = await CliRun.Of(["run", Target, "--prompt", "To be", "--max-tokens", "4", "--temperature", "0"]);
        Assert.Equal(0, run.ExitCode);

        await CliRun.Of(["export", TestData.TinyShakespeare, "-o", Target, "--profiles", "web"]);
        CliRun missing = await CliRun.Of(["run", Target, "--prompt", "To be"]);
        Assert.Equal(3, missing.ExitCode);
        Assert.Contains("expected a graph of profile runtime, found web", missing.Error);
        string unknown = (await CliRun.Of(["export", TestData.TinyShakespeare, "-o", Target, "--profiles", "x"])).Error;
        Assert.Contains("--profiles: expected some of portable, runtime, web, found 'x'", unknown);
    }

    [Fact]
    public async Task Matrices_of_few_bits_are_exported_as_asked_for_and_write_text()
    {
        CliRun export = await CliRun.Of([
            "export",
            TestData.TinyShakespeare,
            "-o",
            Target,
            .. (string[])["--weights", "int4", "--group-size", "64", "--zero-points", "integer", "--method", "nearest"],
            .. (string[])["--head", "int8", "--embedding", "float", "--keep", "*.o_proj.weight", "--keep", "*down*"],
            .. (string[])["--scales", "f16"],
        ]);
        Assert.Equal(0, export.ExitCode);
        Assert.Contains(
            "parameters as f32, 22 matrices in 4 bits, groups of 64 with zero points, scales of f16; 1 matrix in 8 bits, groups of 64 with zero points, scales of f16 (mean relative error",
            export.Error
        );
        ModelManifest manifest = ModelManifest.Load(Target);
        Dictionary<string, WeightQuantization> formats = Assert
            .NotNull(manifest.Quantization)
            .ToDictionary(matrix => matrix.Name, matrix => matrix.Format);
        var expected = new WeightQuantization
        {
            Bits = 4,
            GroupSize = 64,
            ZeroPoints = ZeroPoints.Integer,
            Scales = ElementType.Float16,
            Method = QuantizationMethod.Nearest,
        };
        Assert.Equal(expected, formats["model.layers.0.mamba.in_proj.weight"]);
        Assert.Equal(expected with { Bits = 8 }, formats["lm_head.weight"]);
        Assert.DoesNotContain("model.embed_tokens.weight", formats.Keys);
        Assert.DoesNotContain(formats.Keys, name => name.Contains("o_proj") || name.Contains("down_proj"));

        CliRun run = await CliRun.Of("run", Target, "--prompt", "To be", "--max-tokens", "8", "--temperature", "0");
        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith("To be", run.Out);
    }

    [Fact]
    public async Task Matrices_are_quantized_by_the_activations_of_a_text()
    {
        string text = Path.Combine(folder, "text.txt");
        await File.WriteAllTextAsync(
            text,
            string.Concat(Enumerable.Repeat("To be, or not to be, that is the question.\n", 100)),
            TestContext.Current.CancellationToken
        );
        string[] activation =
        [
            "export",
            TestData.TinyShakespeare,
            "-o",
            Target,
            "--weights",
            "int4",
            "--method",
            "activation",
        ];
        CliRun export = await CliRun.Of([.. activation, "--calibration", text]);
        Assert.Equal(0, export.ExitCode);
        Assert.All(
            Assert.NotNull(ModelManifest.Load(Target).Quantization),
            matrix => Assert.Equal(QuantizationMethod.Activation, matrix.Format.Method)
        );

        CliRun without = await CliRun.Of(activation);
        Assert.Equal(2, without.ExitCode);
        Assert.Contains("expected a text with --method activation", without.Error);
        await File.WriteAllTextAsync(text, "Too short.", TestContext.Current.CancellationToken);
        CliRun shortText = await CliRun.Of([.. activation, "--calibration", text]);
        Assert.Equal(2, shortText.ExitCode);
        Assert.Contains("expected a text of at least 512 tokens", shortText.Error);
    }

    [Theory]
    [InlineData("--group-size", "48", "'48'")]
    [InlineData("--keep", "nothing", "such as lm_head.weight; found nothing")]
    [InlineData("--zero-points", "float", "expected 4 bits with float zero points")]
    [InlineData("--method", "hqq", "expected zero points, integer or float, with the method hqq")]
    public async Task Formats_that_make_no_sense_are_refused(string option, string value, string problem)
    {
        CliRun run = await CliRun.Of(
            "export",
            TestData.TinyShakespeare,
            "-o",
            Target,
            "--weights",
            "int8",
            option,
            value
        );
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(problem, run.Error);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public async Task An_export_has_every_file_that_hosts_read()
    {
        CliRun run = await CliRun.Of("export", TestData.TinyShakespeare, "-o", Target);
        Assert.Equal((0, Target + "\n"), (run.ExitCode, run.Out));
        Assert.Contains("exported 4,869,420 parameters as f32", run.Error);
        Assert.Equal(
            [
                "bamba.json",
                "chat_template.jinja",
                "config.json",
                "genai_config.json",
                "generation_config.json",
                "model.onnx",
                "model.onnx.data",
                "runtime.onnx",
                "tokenizer.json",
                "tokenizer_config.json",
            ],
            Directory.GetFiles(Target).Select(Path.GetFileName).Order(StringComparer.Ordinal)
        );
        using var tokenizer = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Target, "tokenizer_config.json")));
        Assert.Equal("PreTrainedTokenizerFast", tokenizer.RootElement.GetProperty("tokenizer_class").GetString());
        using var genai = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Target, "genai_config.json")));
        JsonElement model = genai.RootElement.GetProperty("model");
        Assert.Equal("decoder", model.GetProperty("type").GetString());
        Assert.Equal(8, model.GetProperty("decoder").GetProperty("num_hidden_layers").GetInt32());
        Assert.Equal(
            "past_key_values.%d.key",
            model.GetProperty("decoder").GetProperty("inputs").GetProperty("past_key_names").GetString()
        );
    }

    [Fact]
    public async Task Padding_is_never_a_token_of_ordinary_text()
    {
        string checkpoint = CopyOfCase("base");
        File.WriteAllText(
            Path.Combine(checkpoint, "tokenizer.json"),
            """{"added_tokens": [{"id": 2, "content": "<|end|>", "special": true}, {"id": 9, "content": "<|reserved_0|>", "special": true}]}"""
        );
        Assert.Equal(0, (await CliRun.Of("export", checkpoint, "-o", Target)).ExitCode);
        using var genai = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Target, "genai_config.json")));
        Assert.Equal(9, genai.RootElement.GetProperty("model").GetProperty("pad_token_id").GetInt32());
    }

    [Theory]
    [InlineData("1", 1)]
    [InlineData("512B", 512)]
    [InlineData("1.5kb", 1500)]
    [InlineData("500 MB", 500_000_000)]
    [InlineData("4GB", 4_000_000_000)]
    [InlineData("2GiB", 1L << 31)]
    public void Sizes_are_read_as_hugging_face_reads_them(string text, long bytes)
    {
        Assert.True(ByteSize.TryParse(text, out long found));
        Assert.Equal(bytes, found);
    }

    [Fact]
    public async Task Weights_are_split_and_checked_and_run()
    {
        CliRun export = await CliRun.Of("export", TestData.TinyShakespeare, "-o", Target, "--max-shard-size", "1MB");
        Assert.Equal(0, export.ExitCode);
        ModelManifest manifest = ModelManifest.Load(Target);
        ManifestFile[] weights = [.. manifest.Files.Where(file => manifest.Layout.IsWeights(file.Name))];
        Assert.Equal(
            Directory.GetFiles(Target, "model.onnx.data*").Select(Path.GetFileName).Order(),
            weights.Select(file => file.Name).Order()
        );
        Assert.InRange(weights.Length, 20, 40);
        Assert.Equal(manifest.WeightBytes, weights.Sum(file => file.Bytes));
        // Embedding and head, [2048, 192], each by itself.
        string[] large = [.. weights.Where(file => file.Bytes > 1_000_000).Select(file => file.Name)];
        Assert.Equal(2, large.Length);
        Assert.All(
            large,
            name =>
                Assert.Contains(
                    $"{name} has 1,572,864 bytes, more than 1,000,000: a tensor is never split",
                    export.Error
                )
        );

        CliRun verify = await CliRun.Of("verify", Target, "--reference", TestData.TinyShakespeare);
        Assert.Equal(0, verify.ExitCode);
        CliRun inspect = await CliRun.Of("inspect", Target);
        Assert.Contains($", in {weights.Length} files", inspect.Out);

        await File.AppendAllTextAsync(Path.Combine(Target, large[1]), "!", TestContext.Current.CancellationToken);
        CliRun damaged = await CliRun.Of("run", Target, "--prompt", "To be", "--max-tokens", "1");
        Assert.Equal(3, damaged.ExitCode);
        Assert.Contains($"{large[1]}: is damaged: expected 1572864 bytes, found 1572865", damaged.Error);
    }

    [Fact]
    public async Task Tied_heads_are_stored_once()
    {
        Assert.Equal(0, (await CliRun.Of("export", TestData.Case("two-groups"), "-o", Target)).ExitCode);
        ModelManifest manifest = ModelManifest.Load(Target);
        long tables = 2L * 4096 * 4 * sizeof(float);
        long weights = manifest.Files.Single(file => file.Name == "model.onnx.data").Bytes;
        // Parameters, rotary tables, a zero bias, and room for alignment below that of a second embedding table.
        Assert.InRange(
            weights,
            manifest.Parameters * sizeof(float),
            (manifest.Parameters * sizeof(float)) + tables + (320 * 64 * sizeof(float))
        );
    }

    [Fact]
    public async Task Exports_are_the_same_byte_for_byte_each_time()
    {
        string second = Path.Combine(folder, "second");
        await CliRun.Of("export", TestData.Case("base"), "-o", Target);
        await CliRun.Of("export", TestData.Case("base"), "-o", second);
        foreach (string file in Directory.GetFiles(Target))
        {
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(second, Path.GetFileName(file))));
        }
    }

    [Fact]
    public async Task An_earlier_export_is_replaced_and_a_folder_of_other_things_is_not()
    {
        Assert.Equal(0, (await CliRun.Of("export", TestData.Case("base"), "-o", Target)).ExitCode);
        Assert.Equal(
            0,
            (await CliRun.Of("export", TestData.Case("dt-limit"), "-o", Target, "--dtype", "f16")).ExitCode
        );
        Assert.Equal(ElementType.Float16, ModelManifest.Load(Target).Options.Dtype);
        Assert.Single(Directory.GetFileSystemEntries(folder));

        File.Delete(Path.Combine(Target, "bamba.json"));
        Assert.Contains("found a folder of other files", await Refusal(TestData.Case("base"), 2));
        Assert.True(File.Exists(Path.Combine(Target, "model.onnx")));
    }

    [Fact]
    public async Task The_9B_configuration_exports_without_weights()
    {
        CliRun run = await CliRun.Of(
            "export",
            Path.GetDirectoryName(TestData.Bamba9BConfig)!,
            "-o",
            Target,
            "--no-weights"
        );
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("9,780,235,392 parameters", run.Error);
        Assert.False(File.Exists(Path.Combine(Target, "model.onnx.data")));
    }

    [Theory]
    [InlineData("--dtype", "int3", "expected f32, f16 or bf16, found 'int3'")]
    [InlineData("--logits", "some", "some")]
    [InlineData("--context-length", "0", "expected a context length from 1 to max_position_embeddings = 4096, found 0")]
    [InlineData("--context-length", "5000", "found 5000")]
    [InlineData("--max-shard-size", "4 apples", "expected a size such as 4GB, 500MB or 2GiB, found '4 apples'")]
    [InlineData("--max-shard-size", "0", "found '0'")]
    [InlineData("--no-weights", "--quality-text=a.txt", "expected an export with weights, found --no-weights")]
    [InlineData("--max-shard-size", "99999999TB", "found '99999999TB'")]
    public async Task Wrong_options_are_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await CliRun.Of("export", TestData.Case("base"), "-o", Target, option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
        Assert.False(Directory.Exists(Target));
    }

    [Theory]
    [InlineData("--quality-text")]
    [InlineData("--method", "activation", "--calibration")]
    public async Task A_missing_text_is_told_of_before_anything_is_exported(params string[] options)
    {
        string text = Path.Combine(folder, "missing.txt");
        string told = await Refusal(TestData.TinyShakespeare, 3, ["--weights", "int4", .. options, text]);
        Assert.Contains($"{text}: expected a text, found no such file", told);
    }

    [Fact]
    public async Task A_missing_output_is_wrong_usage() =>
        Assert.Equal(2, (await CliRun.Of("export", TestData.Case("base"))).ExitCode);

    [Fact]
    public async Task A_damaged_checkpoint_is_bad_input_and_leaves_nothing()
    {
        string checkpoint = CopyOfCase("base");
        string weights = Path.Combine(checkpoint, "model.safetensors");
        using (FileStream stream = File.OpenWrite(weights))
        {
            stream.SetLength(stream.Length - 100);
        }
        Assert.Contains(weights, await Refusal(checkpoint, 3));
    }

    [Fact]
    public async Task A_checkpoint_of_another_shape_is_bad_input_by_its_tensors()
    {
        string checkpoint = CopyOfCase("base");
        string config = Path.Combine(checkpoint, "config.json");
        File.WriteAllText(
            config,
            File.ReadAllText(config)
                .Replace("\"intermediate_size\": 96", "\"intermediate_size\": 97", StringComparison.Ordinal)
        );
        string message = await Refusal(checkpoint, 3);
        Assert.Contains("model.layers.0.feed_forward", message);
        Assert.Contains("97", message);
    }

    [Fact]
    public async Task A_value_too_large_for_float16_is_refused_with_what_to_do()
    {
        string checkpoint = CopyOfCase("base");
        string weights = Path.Combine(checkpoint, "model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), 1e6f);
        File.WriteAllBytes(weights, bytes);
        string message = await Refusal(checkpoint, 3, "--dtype", "f16");
        Assert.Contains("bf16", message);
    }

    [Fact]
    public async Task A_target_that_is_a_file_is_refused()
    {
        File.WriteAllText(Target, "mine");
        Assert.Contains("expected a folder to write, found a file", await Refusal(TestData.Case("base"), 2));
        Assert.Equal("mine", File.ReadAllText(Target));
    }

    [Fact]
    public async Task A_target_that_cannot_be_made_is_bad_input()
    {
        // A file in the way fails for every user, root included, for whom no folder is read-only.
        File.WriteAllText(Path.Combine(folder, "file"), "");
        CliRun run = await CliRun.Of("export", TestData.Case("base"), "-o", Path.Combine(folder, "file", "out"));
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.StartsWith("error: ", run.Error);
    }

    [Fact]
    public async Task A_cancelled_export_leaves_nothing_and_says_so()
    {
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        var error = new StringWriter();
        var console = new CliConsole(TextReader.Null, TextWriter.Null, error, false);
        int exitCode = await CommandLine.RunAsync(
            ["export", TestData.Case("base"), "-o", Target],
            console,
            cancellation.Token
        );
        Assert.Equal(130, exitCode);
        Assert.Equal("cancelled", error.ToString().Trim());
        Assert.Empty(Directory.GetFileSystemEntries(folder));
    }
}
