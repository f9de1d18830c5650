using System.Text.Json;
using System.Text.RegularExpressions;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class OtherCommandTests
{
    [Fact]
    public async Task Tokenize_gives_both_lists_of_ids_for_each_line()
    {
        JsonElement[] entries = TokenizerCases();
        string input = string.Join(
            '\n',
            entries.Select(entry => JsonSerializer.Serialize(entry.GetProperty("text").GetString()))
        );
        CliRun run = await CliRun.With(input, "tokenize", TestData.TinyShakespeare);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        string[] lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal(116, lines.Length);
        for (int i = 0; i < lines.Length; i++)
        {
            using var line = JsonDocument.Parse(lines[i]);
            Assert.Equal(Ids(entries[i], "ids"), Ids(line.RootElement, "ids"));
            Assert.Equal(Ids(entries[i], "ids_without_special"), Ids(line.RootElement, "ids_without_special"));
        }
    }

    [Fact]
    public async Task Tokenize_decodes_ids_to_json_strings()
    {
        JsonElement[] entries = TokenizerCases();
        string input = string.Join(
            '\n',
            entries.Select(entry => $"[{string.Join(',', Ids(entry, "ids_without_special"))}]")
        );
        CliRun run = await CliRun.With(input, "tokenize", TestData.TinyShakespeare, "--decode");
        Assert.Equal(
            entries.Select(entry => entry.GetProperty("decoded").GetString()),
            run.Out.TrimEnd('\n').Split('\n').Select(line => JsonSerializer.Deserialize<string>(line))
        );
    }

    [Theory]
    [InlineData("plain text", "line 1 of standard input: expected a JSON string")]
    [InlineData("[1]", "line 1 of standard input: expected a JSON string")]
    public async Task Lines_that_are_no_json_string_are_wrong_usage(string input, string expected)
    {
        CliRun run = await CliRun.With(input, "tokenize", TestData.TinyShakespeare);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task Verify_passes_on_a_right_export_and_prints_json()
    {
        string model = ExportedModels.Of(TestData.Case("base"));
        CliRun run = await CliRun.Of("verify", model, "--reference", TestData.Case("base"), "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        Assert.True(json.RootElement.GetProperty("passed").GetBoolean());
        JsonElement[] checks = [.. json.RootElement.GetProperty("checks").EnumerateArray()];
        JsonElement logits = checks.Single(check => check.GetProperty("name").GetString() == "portable.full.logits");
        Assert.InRange(logits.GetProperty("max_abs").GetDouble(), 0, 1e-4);
        Assert.Equal(1e-4, logits.GetProperty("limit").GetDouble());
        Assert.Contains(checks, check => check.TryGetProperty("skipped", out _));
    }

    [Fact]
    public async Task Verify_fails_on_a_model_of_other_weights()
    {
        CliRun run = await CliRun.Of(
            "verify",
            ExportedModels.Of(TestData.Case("base")),
            "--reference",
            TestData.Case("dt-limit")
        );
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("FAILED", run.Out);
    }

    [Fact]
    public async Task Verify_finds_a_changed_weight_by_its_hash()
    {
        string model = ExportedModels.CopyOf(TestData.Case("base"));
        string weights = Path.Combine(model, "model.onnx.data");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        CliRun run = await CliRun.Of("verify", model, "--reference", TestData.Case("base"));
        Directory.Delete(model, recursive: true);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains(
            "files.sha256",
            run.Out.Split('\n').Single(line => line.Contains("FAILED  1 (limit 0)", StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task Verify_without_reference_data_is_bad_input()
    {
        CliRun run = await CliRun.Of("verify", ExportedModels.Of(TestData.Case("base")), "--reference", TestData.Root);
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("expected.safetensors: no such file", run.Error);
    }

    [Fact]
    public async Task Verify_refuses_fewer_bits_and_tells_what_to_ask_instead()
    {
        var format = new WeightQuantization { Bits = 8, GroupSize = 32 };
        string model = ExportedModels.Of(
            TestData.TinyShakespeare,
            new ExportOptions { Quantization = QuantizationOptions.Of(format) }
        );
        CliRun run = await CliRun.Of("verify", model, "--reference", TestData.TinyShakespeare);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("found 34 matrices in 8 bits, groups of 32; bamba-onnx quality tells", run.Error);
    }

    [Fact]
    public async Task Inspect_tells_the_9B_graphs_by_the_contract()
    {
        string model = ExportedModels.Of(
            Path.GetDirectoryName(TestData.Bamba9BConfig)!,
            new ExportOptions { Weights = false }
        );
        CliRun run = await CliRun.Of("inspect", model, "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        JsonElement root = json.RootElement;
        Assert.Equal(9_780_235_392, root.GetProperty("parameters").GetInt64());
        Assert.Equal(
            29 * ((4 * 128 * 64 * 128) + (4 * 8448 * 3)),
            root.GetProperty("caches").GetProperty("state_bytes_per_sequence").GetInt64()
        );
        Assert.Equal(
            3 * 2 * 8 * 128 * 4,
            root.GetProperty("caches").GetProperty("key_value_bytes_per_token").GetInt64()
        );
        foreach (JsonElement graph in root.GetProperty("graphs").EnumerateArray())
        {
            Assert.InRange(graph.GetProperty("bytes").GetInt64(), 1, (2L << 20) - 1);
            Assert.Equal(8, graph.GetProperty("max_nodes_per_layer").GetInt32());
            Assert.Equal(21, graph.GetProperty("opsets").GetProperty("ai.onnx").GetInt32());
            Assert.Equal(
                29,
                graph.GetProperty("operators").GetProperty("bamba").GetProperty("Mamba2ChunkScan").GetInt32()
            );
            Assert.Equal(
                3,
                graph
                    .GetProperty("operators")
                    .GetProperty("com.microsoft")
                    .GetProperty("GroupQueryAttention")
                    .GetInt32()
            );
            string[] inputs = [.. graph.GetProperty("inputs").EnumerateArray().Select(input => input.GetString()!)];
            Assert.Contains("past_key_values.0.conv_state f32[batch_size, 8448, 3]", inputs);
            Assert.Contains("past_key_values.31.recurrent_state f32[batch_size, 128, 64, 128]", inputs);
        }
    }

    [Fact]
    public async Task Inspect_reads_well_as_text()
    {
        CliRun run = await CliRun.Of("inspect", ExportedModels.Of(TestData.TinyShakespeare));
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("8, attention in 2, 5", run.Out);
        Assert.Contains("ONNX Runtime 1.20.1 or newer", run.Out);
        Assert.DoesNotContain("\u001b", run.Out);
    }

    [Fact]
    public async Task Inspect_tells_what_would_compute_the_scan()
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare);
        // No library lies beside the tests, and inspect loads none: any file does for one.
        string library = typeof(CustomOps).Assembly.Location;
        foreach ((string ops, string expected) in new[] { ("auto", "function body"), (library, library) })
        {
            using var json = JsonDocument.Parse((await CliRun.Of("inspect", model, "--ops", ops, "--json")).Out);
            Assert.Equal(expected, json.RootElement.GetProperty("scan").GetString());
            string text = (await CliRun.Of("inspect", model, "--ops", ops)).Out;
            Assert.Matches($"(?m)^scan +{Regex.Escape(expected)} *$", text);
        }
    }

    [Fact]
    public async Task Inspect_of_a_library_that_is_not_there_is_bad_input()
    {
        CliRun run = await CliRun.Of(
            "inspect",
            ExportedModels.Of(TestData.TinyShakespeare),
            "--ops",
            "no-such-library"
        );
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.Contains("no-such-library", run.Error);
    }

    [Fact]
    public async Task A_damaged_graph_is_bad_input()
    {
        string model = ExportedModels.CopyOf(TestData.Case("base"));
        File.WriteAllBytes(Path.Combine(model, "model.onnx"), [1, 2, 3]);
        CliRun run = await CliRun.Of("inspect", model);
        Directory.Delete(model, recursive: true);
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.Contains("model.onnx: is not an ONNX file", run.Error);
    }

    [Fact]
    public async Task Help_is_no_error_and_nonsense_is_wrong_usage()
    {
        Assert.Equal(0, (await CliRun.Of("--help")).ExitCode);
        CliRun nonsense = await CliRun.Of("dance");
        Assert.Equal((2, ""), (nonsense.ExitCode, nonsense.Out));
        Assert.Contains("'dance'", nonsense.Error);
    }

    private static JsonElement[] TokenizerCases() =>
        JsonSerializer.Deserialize<JsonElement[]>(
            File.ReadAllBytes(Path.Combine(TestData.TinyShakespeare, "tokenizer_cases.json"))
        )!;

    private static int[] Ids(JsonElement entry, string name) =>
        [.. entry.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
