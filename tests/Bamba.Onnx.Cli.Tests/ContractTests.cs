using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Cli.Contracts;
using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Cli.Tests;

public sealed class ContractTests
{
    private const string Portable = "model.onnx";
    private const string Runtime = "runtime.onnx";
    private const string Web = "onnx/model.onnx";
    private const string WebData = "onnx/model.onnx_data";

    private static readonly ExportOptions AllProfiles = new()
    {
        Profiles = [GraphProfile.Portable, GraphProfile.Runtime, GraphProfile.Web],
    };

    /// <summary>For each rule something that breaks it, and it alone.</summary>
    private static readonly Dictionary<string, Action<BrokenFolder>> Proofs = new()
    {
        ["graphs.readable"] = it => it.Delete(Runtime),
        ["graphs.opsets"] = it =>
            it.EditGraph(Runtime, model => model.OpsetImport.Single(import => import.Domain.Length == 0).Version = 23),
        ["graphs.operators"] = it =>
            it.EditGraph(
                Portable,
                model => model.Functions.Remove(model.Functions.Single(function => function.Name == "SwiGLU"))
            ),
        ["graphs.in-place"] = it =>
            it.EditGraph(
                Runtime,
                model => model.Graph.Node.Add(Node("Neg", "past_key_values.0.recurrent_state", "late"))
            ),
        ["weights.files"] = it => it.MoveWeights(Portable, "../" + WebData),
        ["weights.ranges"] = it =>
            it.EditGraph(
                Runtime,
                model =>
                    model.Graph.Initializer[^1].ExternalData.Single(entry => entry.Key == "offset").Value = "19951610"
            ),
        ["portable.names"] = it =>
            it.RenameInput(Portable, "past_key_values.0.recurrent_state", "past_key_values.0.ssm_state"),
        ["portable.types"] = it => it.EditTensor(Portable, "attention_mask", type => Set(type, DataType.Int32)),
        ["portable.ranks"] = it => it.EditTensor(Portable, "attention_mask", type => type.Shape.Dim.RemoveAt(1)),
        ["portable.sizes"] = it => it.EditTensor(Portable, "logits", type => Set(type, 2, 2000)),
        ["portable.symbols"] = it => it.EditTensor(Portable, "attention_mask", type => Set(type, 1, "sequence_length")),
        ["genai.states"] = it =>
            it.EditTensor(Portable, "past_key_values.1.conv_state", type => Set(type, 2, "conv_width")),
        ["genai.config"] = it => it.Delete("genai_config.json"),
        ["genai.type"] = it => it.EditJson("genai_config.json", json => json["model"]!["type"] = "bamba"),
        ["genai.filename"] = it => it.EditJson("genai_config.json", json => Decoder(json)["filename"] = Runtime),
        ["genai.names"] = it =>
            it.EditJson("genai_config.json", json => Decoder(json)["inputs"]!["past_key_names"] = "past.%d.key"),
        ["genai.keys"] = it =>
            it.EditJson(
                "genai_config.json",
                json => Decoder(json)["inputs"]!["past_recurrent_names"] = "past_key_values.%d.recurrent_state"
            ),
        ["genai.sizes"] = it => it.EditJson("genai_config.json", json => Decoder(json)["head_size"] = 64),
        ["genai.end"] = it =>
            it.EditJson("genai_config.json", json => json["model"]!["eos_token_id"] = new JsonArray(2043, 2044)),
        ["genai.pad"] = it => it.EditJson("genai_config.json", json => json["model"]!["pad_token_id"] = 0),
        ["genai.search"] = it => it.EditJson("genai_config.json", json => json["search"]!["max_length"] = 8192),
        ["genai.library"] = it =>
            it.EditJson(
                "genai_config.json",
                json => Decoder(json)["session_options"]!["custom_ops_library"] = "libbamba_ops.so"
            ),
        ["runtime.names"] = it => it.RenameInput(Runtime, "past_lens", "past_lengths"),
        ["runtime.types"] = it => it.EditTensor(Runtime, "past_lens", type => Set(type, DataType.Int64)),
        ["runtime.ranks"] = it =>
            it.EditTensor(Runtime, "seq_lens", type => type.Shape.Dim.Add(type.Shape.Dim[0].Clone())),
        ["runtime.sizes"] = it => it.EditTensor(Runtime, "past_key_values.0.conv_state", type => Set(type, 0, size: 1)),
        ["runtime.symbols"] = it => it.EditTensor(Runtime, "present.2.key", type => Set(type, 2, "tokens")),
        ["web.names"] = it => it.RenameInput(Web, "past_ssm.0", "past_key_values.0.recurrent_state"),
        ["web.types"] = it => it.EditTensor(Web, "past_conv.0", type => Set(type, DataType.Float16)),
        ["web.ranks"] = it => it.EditTensor(Web, "logits", type => type.Shape.Dim.RemoveAt(1)),
        ["web.sizes"] = it => it.EditTensor(Web, "past_key_values.5.value", type => Set(type, 1, size: 4)),
        ["web.symbols"] = it => it.EditTensor(Web, "past_ssm.3", type => Set(type, 0, "batch")),
        ["web.config"] = it =>
        {
            it.EditJson("config.json", json => json["time_step_limit"] = new JsonArray(0, "INFINITY"));
            string text = File.ReadAllText(it["config.json"]);
            File.WriteAllText(it["config.json"], text.Replace("\"INFINITY\"", "Infinity", StringComparison.Ordinal));
        },
        ["web.type"] = it => it.EditJson("config.json", json => json["model_type"] = "bamba"),
        ["web.layers"] = it => it.EditJson("config.json", json => json.Remove("layer_types")),
        ["web.shape"] = it => it.EditJson("config.json", json => json.Remove("head_dim")),
        ["web.tokens"] = it => it.EditJson("config.json", json => json.Remove("pad_token_id")),
        ["web.dtype"] = it => it.EditJson("config.json", json => json["transformers.js_config"]!["dtype"] = "q4"),
        ["web.data-names"] = it =>
        {
            File.Move(it[WebData], it["onnx/weights.bin"]);
            it.MoveWeights(Web, "weights.bin");
            it.MoveWeights(Portable, "onnx/weights.bin");
            it.MoveWeights(Runtime, "onnx/weights.bin");
        },
        ["web.data-count"] = it =>
            it.EditJson(
                "config.json",
                json => json["transformers.js_config"]!["use_external_data_format"]!["model.onnx"] = 2
            ),
        ["tokenizer.file"] = it => it.Delete("tokenizer.json"),
        ["tokenizer.config"] = it => it.Delete("tokenizer_config.json"),
        ["tokenizer.class"] = it =>
            it.EditJson("tokenizer_config.json", json => json["tokenizer_class"] = "TokenizersBackend"),
    };

    public static TheoryData<string> ProvedByEdits => [.. Proofs.Keys];

    [Theory]
    [MemberData(nameof(ProvedByEdits))]
    public void A_folder_broken_in_one_place_breaks_the_one_rule_of_it(string rule)
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare, AllProfiles);
        try
        {
            var folder = new BrokenFolder(copy);
            Proofs[rule](folder);
            folder.RewriteManifest();
            AssertBreaks(rule, copy);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void A_file_of_another_length_breaks_the_rule_of_the_manifest()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare, AllProfiles);
        try
        {
            using (FileStream weights = File.Open(Path.Combine(copy, WebData), FileMode.Append))
            {
                weights.WriteByte(0);
            }
            AssertBreaks("manifest.files", copy);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void A_model_without_attention_breaks_the_rule_of_attention()
    {
        string copy = ExportedModels.CopyOf(
            TestData.Case("all-mamba"),
            new ExportOptions { Logits = LogitsPositions.Last }
        );
        try
        {
            MakeWeb(new BrokenFolder(copy));
            AssertBreaks("web.attention", copy);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void A_file_that_no_browser_can_hold_breaks_the_rule_of_sizes()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare, AllProfiles);
        try
        {
            const long Bytes = ExportLayout.MostWebFileBytes + 1;
            // Its end is a hole, which takes no room on the disk.
            using (FileStream weights = File.OpenWrite(Path.Combine(copy, WebData)))
            {
                weights.SetLength(Bytes);
            }
            var manifest = ModelManifest.Load(copy);
            (
                manifest with
                {
                    Files =
                    [
                        .. manifest.Files.Select(file => file.Name == WebData ? file with { Bytes = Bytes } : file),
                    ],
                }
            ).Save(copy);
            Assert.Equal($"{Bytes} bytes", Assert.Single(AssertBreaks("web.data-size", copy)).Found);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void More_files_of_weights_than_transformers_js_takes_break_the_rule_of_their_count()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare, AllProfiles);
        try
        {
            var folder = new BrokenFolder(copy);
            folder.EditGraph(
                Web,
                model =>
                {
                    for (int i = 1; i <= ExportLayout.MostWebFiles; i++)
                    {
                        File.CreateSymbolicLink(folder[$"{WebData}_{i}"], "model.onnx_data");
                        // Several tensors may share a file; the model has fewer than files here.
                        TensorProto tensor =
                            i < model.Graph.Initializer.Count ? model.Graph.Initializer[i] : Copy(model, i);
                        tensor.ExternalData.Single(entry => entry.Key == "location").Value = $"model.onnx_data_{i}";
                    }
                }
            );
            folder.EditJson(
                "config.json",
                json =>
                    json["transformers.js_config"]!["use_external_data_format"]!["model.onnx"] =
                        ExportLayout.MostWebFiles + 1
            );
            folder.RewriteManifest();
            Assert.Equal("101", Assert.Single(AssertBreaks("web.data-count", copy)).Found);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }

        static TensorProto Copy(ModelProto model, int number)
        {
            TensorProto copy = model.Graph.Initializer[1].Clone();
            copy.Name = $"copy.{number}";
            model.Graph.Initializer.Add(copy);
            return copy;
        }
    }

    [Fact]
    public void A_folder_of_links_keeps_every_rule_and_has_the_sizes_of_what_they_lead_to()
    {
        string export = ExportedModels.Of(TestData.TinyShakespeare, AllProfiles);
        using var links = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(export, "*", SearchOption.AllDirectories))
        {
            string link = links[Path.GetRelativePath(export, file)];
            Directory.CreateDirectory(Path.GetDirectoryName(link)!);
            File.CreateSymbolicLink(link, file);
        }
        Assert.DoesNotContain(ContractRules.Check(links.Path), rule => !rule.Passed);
        Assert.Equal(
            ModelInspection.Of(export, CustomOps.Off).Graphs.Select(graph => graph.Bytes),
            ModelInspection.Of(links.Path, CustomOps.Off).Graphs.Select(graph => graph.Bytes)
        );
    }

    [Fact]
    public void Weights_in_several_files_keep_every_rule()
    {
        string folder = ExportedModels.Of(TestData.TinyShakespeare, AllProfiles with { MaxShardBytes = 8_000_000 });
        Assert.True(File.Exists(Path.Combine(folder, WebData + "_2")));
        IReadOnlyList<ContractResult> results = ContractRules.Check(folder);
        Assert.DoesNotContain(results, rule => !rule.Passed || rule.Skipped is not null);
    }

    [Fact]
    public void Every_rule_has_a_name_of_its_own_and_a_proof_above() =>
        Assert.Equal(
            ContractRules.All.Select(rule => rule.Id).Order(),
            Proofs.Keys.Concat(["manifest.files", "web.attention", "web.data-size"]).Order()
        );

    [Fact]
    public void Every_host_is_protected_by_rules() =>
        Assert.All(
            Enum.GetValues<ContractHost>(),
            host => Assert.Contains(ContractRules.All, rule => rule.Hosts.HasFlag(host))
        );

    [Fact]
    public void A_state_read_late_inside_a_function_is_found()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare, AllProfiles);
        try
        {
            var folder = new BrokenFolder(copy);
            folder.EditGraph(Runtime, WithoutOrder);
            folder.RewriteManifest();
            IReadOnlyList<ContractFinding> findings = AssertBreaks("graphs.in-place", copy);
            // Each Mamba layer calls the function.
            Assert.Equal(6, findings.Count);
            Assert.All(
                findings,
                finding => Assert.Matches("^[A-Z][A-Za-z]+ .* in Scan .* in Mamba2ChunkScan", finding.Found)
            );
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Theory]
    [InlineData(ElementType.Float32, null)]
    [InlineData(ElementType.Float16, null)]
    [InlineData(ElementType.Float32, 4)]
    [InlineData(ElementType.Float16, 8)]
    public void Exports_keep_every_rule(ElementType type, int? bits)
    {
        string folder = ExportedModels.Of(
            TestData.TinyShakespeare,
            AllProfiles with
            {
                Dtype = type,
                Quantization = FewBits.Of(bits),
            }
        );
        IReadOnlyList<ContractResult> results = ContractRules.Check(folder);
        Assert.DoesNotContain(results, rule => !rule.Passed);
        Assert.DoesNotContain(results, rule => rule.Skipped is not null);
    }

    [Fact]
    public void Rules_without_a_subject_in_the_folder_are_skipped_and_say_why()
    {
        string folder = ExportedModels.Of(
            Path.GetDirectoryName(TestData.Bamba9BConfig)!,
            new ExportOptions { Weights = false }
        );
        ImmutableDictionary<string, ContractResult> results = ContractRules
            .Check(folder)
            .ToImmutableDictionary(rule => rule.Id);
        Assert.All(results.Values, rule => Assert.True(rule.Passed, rule.Id));
        Assert.Equal("exported without weights", results["weights.ranges"].Skipped);
        Assert.Equal("exported without profile web", results["web.names"].Skipped);
        Assert.Contains("no tokenizer", results["tokenizer.class"].Skipped);
        Assert.Null(results["genai.states"].Skipped);
    }

    [Fact]
    public async Task Verify_alone_prints_every_rule_and_its_hosts()
    {
        CliRun run = await CliRun.Of("verify", ExportedModels.Of(TestData.TinyShakespeare, AllProfiles));
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        string[] lines = run.Out.Split('\n');
        Assert.All(
            ContractRules.All,
            rule => Assert.Contains(lines, line => line.StartsWith($"{rule.Id} ", StringComparison.Ordinal))
        );
        Assert.Contains("kept", lines.Single(line => line.StartsWith("genai.pad ", StringComparison.Ordinal)));
        Assert.Contains($"{ContractRules.All.Count} of {ContractRules.All.Count} rules of the contract kept", run.Out);
    }

    [Fact]
    public async Task Rules_wrap_to_the_width_of_a_terminal()
    {
        CliRun run = await CliRun.OnTerminal(80, "verify", ExportedModels.Of(TestData.TinyShakespeare));
        Assert.Equal(0, run.ExitCode);
        Assert.All(run.Out.Split('\n'), line => Assert.InRange(line.Length, 0, 80));
    }

    [Fact]
    public async Task A_broken_rule_fails_verify_and_says_what_was_expected_and_found()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare);
        try
        {
            Proofs["genai.pad"](new BrokenFolder(copy));
            CliRun run = await CliRun.Of("verify", copy);
            Assert.Equal((1, ""), (run.ExitCode, run.Error));
            Assert.Matches("(?m)^genai.pad +BROKEN +GenAI: ", run.Out);
            Assert.Contains(
                "genai_config.json: model.pad_token_id: expected a special token of tokenizer.json: 2043, 2044",
                run.Out
            );
            using var json = JsonDocument.Parse((await CliRun.Of("verify", copy, "--json")).Out);
            Assert.False(json.RootElement.GetProperty("passed").GetBoolean());
            JsonElement rule = json
                .RootElement.GetProperty("contract")
                .EnumerateArray()
                .Single(rule => !rule.GetProperty("passed").GetBoolean());
            Assert.Equal("genai.pad", rule.GetProperty("id").GetString());
            Assert.Equal("0", rule.GetProperty("findings")[0].GetProperty("found").GetString());
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    private static IReadOnlyList<ContractFinding> AssertBreaks(string rule, string folder)
    {
        ContractResult[] broken = [.. ContractRules.Check(folder).Where(result => !result.Passed)];
        Assert.Equal([rule], broken.Select(result => result.Id));
        Assert.NotEmpty(broken[0].Findings);
        Assert.All(broken[0].Findings, finding => Assert.NotEqual(finding.Expected, finding.Found));
        return broken[0].Findings;
    }

    /// <summary>Takes away what keeps the scan's reader of the past before the node that writes the present.</summary>
    private static void WithoutOrder(ModelProto model)
    {
        GraphProto body = model
            .Functions.Single(function => function.Name == "Mamba2ChunkScan")
            .Node.Single(node => node.OpType == "Scan")
            .Attribute.Single(attribute => attribute.Name == "body")
            .G;
        HashSet<string> slices = [.. body.Node.Where(node => node.OpType == "Slice").Select(node => node.Output[0])];
        NodeProto order = body.Node.Single(node =>
            node.OpType == "Concat" && node.Input.Count == 2 && slices.Contains(node.Input[1])
        );
        order.Input.RemoveAt(1);
    }

    /// <summary>Makes of an export one of profile web, also where the exporter refuses to.</summary>
    private static void MakeWeb(BrokenFolder folder)
    {
        var config = BambaConfig.Load(folder["config.json"]);
        var manifest = ModelManifest.Load(folder.Path);
        var web = GraphSignature.For(config, GraphProfile.Web, manifest.GraphOptions);
        Directory.CreateDirectory(folder["onnx"]);
        File.Move(folder[Portable], folder[Web]);
        File.Move(folder["model.onnx.data"], folder[WebData]);
        folder.MoveWeights(Web, "model.onnx_data");
        folder.EditGraph(
            Web,
            model =>
            {
                foreach ((ValueInfoProto value, TensorSpec spec) in model.Graph.Input.Zip(web.Inputs))
                {
                    BrokenFolder.Rename(model, value, spec.Name);
                }
                foreach ((ValueInfoProto value, TensorSpec spec) in model.Graph.Output.Zip(web.Outputs))
                {
                    BrokenFolder.Rename(model, value, spec.Name);
                }
            }
        );
        folder.EditJson(
            "config.json",
            json =>
            {
                json["source_model_type"] = json["model_type"]!.DeepClone();
                json["model_type"] = "granitemoehybrid";
                json["architectures"] = new JsonArray("GraniteMoeHybridForCausalLM");
                json["layer_types"] = new JsonArray([.. config.Layers.Select(_ => (JsonNode)"mamba")]);
                json["head_dim"] = config.HeadDim;
                json["transformers.js_config"] = new JsonObject
                {
                    ["dtype"] = "fp32",
                    ["use_external_data_format"] = new JsonObject { ["model.onnx"] = 1 },
                };
            }
        );
        (
            manifest with
            {
                Options = manifest.Options with { Profiles = [GraphProfile.Web], WebDtype = WebDtype.Fp32 },
                Files = [],
            }
        ).Save(folder.Path);
    }

    private static JsonObject Decoder(JsonObject json) => json["model"]!["decoder"]!.AsObject();

    private static NodeProto Node(string op, string input, string output) =>
        new()
        {
            OpType = op,
            Input = { input },
            Output = { output },
        };

    private static void Set(TypeProto.Types.Tensor tensor, DataType type) => tensor.ElemType = (int)type;

    private static void Set(TypeProto.Types.Tensor tensor, int axis, long size) =>
        tensor.Shape.Dim[axis] = new TensorShapeProto.Types.Dimension { DimValue = size };

    private static void Set(TypeProto.Types.Tensor tensor, int axis, string symbol) =>
        tensor.Shape.Dim[axis] = new TensorShapeProto.Types.Dimension { DimParam = symbol };
}
