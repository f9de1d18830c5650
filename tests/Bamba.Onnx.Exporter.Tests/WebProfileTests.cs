using System.Globalization;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests;

public sealed class WebProfileTests
{
    public static TheoryData<string> Combinations =>
        ["Portable", "Runtime", "Web", "Portable Web", "Web Runtime", "Web Runtime Portable"];

    [Theory]
    [MemberData(nameof(Combinations))]
    public void No_combination_of_profiles_stores_a_weight_twice(string names)
    {
        GraphProfile[] profiles = Array.ConvertAll(names.Split(' '), Enum.Parse<GraphProfile>);
        using var folder = new TemporaryFolder();
        ModelManifest manifest = Export(folder, new ExportOptions { Profiles = profiles });
        long whole = new FileInfo(Path.Combine(ExportedModels.Of(TestData.TinyShakespeare), ModelFiles.Weights)).Length;

        string[] files = Directory.GetFiles(folder["model"], "*", SearchOption.AllDirectories);
        Assert.Equal([whole], files.Select(file => new FileInfo(file).Length).Where(bytes => bytes > whole / 2));
        Assert.Equal(whole, manifest.WeightBytes);
        Assert.Equal(profiles.Length, files.Count(file => file.EndsWith(".onnx", StringComparison.Ordinal)));
        foreach (GraphProfile profile in profiles)
        {
            string graph = Path.Combine(folder["model"], manifest.Layout.Graph(profile));
            string beside = Path.GetDirectoryName(graph)!;
            string[] referred =
            [
                .. ModelProto
                    .Parser.ParseFrom(File.ReadAllBytes(graph))
                    .Graph.Initializer.Select(tensor => tensor.ExternalData.Single(e => e.Key == "location").Value)
                    .Distinct(),
            ];
            // ONNX Runtime refuses references to above the graph's folder.
            Assert.DoesNotContain("..", Assert.Single(referred), StringComparison.Ordinal);
            Assert.Equal(whole, new FileInfo(Path.Combine(beside, referred[0])).Length);
        }
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public void Weights_split_over_files_are_shared_by_every_combination_of_profiles(string names)
    {
        const long MaxShardBytes = 8_000_000;
        GraphProfile[] profiles = Array.ConvertAll(names.Split(' '), Enum.Parse<GraphProfile>);
        using var folder = new TemporaryFolder();
        ModelManifest manifest = Export(
            folder,
            new ExportOptions { Profiles = profiles, MaxShardBytes = MaxShardBytes }
        );
        string[] stored =
        [
            .. manifest.Files.Where(file => manifest.Layout.IsWeights(file.Name)).Select(file => file.Name),
        ];
        Assert.Equal([manifest.Layout.Weights, $"{manifest.Layout.Weights}_1", $"{manifest.Layout.Weights}_2"], stored);
        Assert.All(
            manifest.Files.Where(file => stored.Contains(file.Name)),
            file => Assert.InRange(file.Bytes, 1, MaxShardBytes)
        );
        foreach (GraphProfile profile in profiles)
        {
            string graph = manifest.Layout.Graph(profile);
            string beside = profile == GraphProfile.Web ? $"{ExportLayout.WebFolder}/" : "";
            Assert.Equal(stored, LocationsOf(Path.Combine(folder["model"], graph)).Keys.Select(name => beside + name));
        }
        if (profiles.Contains(GraphProfile.Web))
        {
            Assert.Equal(3, FileCount(folder["model"]));
        }
    }

    [Fact]
    public void No_file_has_more_bytes_than_a_browser_can_hold()
    {
        using var folder = new TemporaryFolder();
        var options = new ExportOptions { Weights = false, Profiles = [GraphProfile.Portable, GraphProfile.Web] };
        BambaExporter.Export(Path.GetDirectoryName(TestData.Bamba9BConfig)!, folder["model"], options);
        SortedDictionary<string, long> files = LocationsOf(folder["model/onnx/model.onnx"]);
        // 39.1 GB. A tensor goes whole into a file, and none has more than the limit.
        Assert.InRange(files.Count, 19, 24);
        Assert.All(files.Values, bytes => Assert.InRange(bytes, 1, ExportLayout.MostWebFileBytes));
        Assert.Equal(files.Count, FileCount(folder["model"]));
        Assert.Equal(files.Keys.Select(name => $"onnx/{name}"), LocationsOf(folder["model/model.onnx"]).Keys);
    }

    [Fact]
    public void More_files_than_transformers_js_takes_are_refused()
    {
        using var folder = new TemporaryFolder();
        var options = new ExportOptions
        {
            Weights = false,
            Profiles = [GraphProfile.Web],
            MaxShardBytes = 1,
        };
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            BambaExporter.Export(Path.GetDirectoryName(TestData.Bamba9BConfig)!, folder["model"], options)
        );
        Assert.Contains("at most 100 of them", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData(ElementType.Float32, null, "onnx/model.onnx", "fp32")]
    [InlineData(ElementType.Float16, null, "onnx/model_fp16.onnx", "fp16")]
    [InlineData(ElementType.Float32, 8, "onnx/model_quantized.onnx", "q8")]
    [InlineData(ElementType.Float32, 4, "onnx/model_q4.onnx", "q4")]
    [InlineData(ElementType.Float16, 4, "onnx/model_q4f16.onnx", "q4f16")]
    public void Files_have_the_names_by_which_transformers_js_knows_types(
        ElementType dtype,
        int? bits,
        string graph,
        string name
    )
    {
        using var folder = new TemporaryFolder();
        ModelManifest manifest = Export(
            folder,
            new ExportOptions
            {
                Profiles = [GraphProfile.Web],
                Dtype = dtype,
                Quantization = FewBits.Of(bits),
            }
        );
        Assert.Equal([graph, $"{graph}_data"], manifest.Files.Select(file => file.Name));
        Assert.Equal(graph, ModelManifest.Load(folder["model"]).Layout.Graph(GraphProfile.Web));
        JsonNode config = Json(folder["model"], ModelFiles.Config)["transformers.js_config"]!;
        Assert.Equal(name, (string?)config["dtype"]);
        Assert.Equal(1, (int?)config["use_external_data_format"]![Path.GetFileName(graph)]);
    }

    [Fact]
    public void The_configuration_tells_transformers_js_of_a_hybrid_and_this_project_of_a_Bamba()
    {
        using var folder = new TemporaryFolder();
        Export(folder, new ExportOptions { Profiles = [GraphProfile.Web] });
        JsonNode json = Json(folder["model"], ModelFiles.Config);
        Assert.Equal("granitemoehybrid", (string?)json["model_type"]);
        Assert.Equal(
            ["mamba", "mamba", "attention", "mamba", "mamba", "attention", "mamba", "mamba"],
            json["layer_types"]!.AsArray().Select(type => (string?)type)
        );
        Assert.Equal(48, (int?)json["head_dim"]);
        Assert.True((bool?)Json(folder["model"], ModelFiles.TokenizerConfig)["add_bos_token"]);
        Assert.False(File.Exists(Path.Combine(folder["model"], ModelFiles.GenAIConfig)));

        BambaConfig config = BambaConfig.Load(Path.Combine(folder["model"], ModelFiles.Config));
        BambaConfig source = BambaConfig.Load(Path.Combine(TestData.TinyShakespeare, ModelFiles.Config));
        Assert.Equal(source.Layers, config.Layers);
        Assert.Equal(source.Rope, config.Rope);
    }

    [Fact]
    public void A_configuration_of_transformers_4_becomes_JSON_that_JavaScript_reads()
    {
        using var folder = new TemporaryFolder();
        string checkpoint = Directory.CreateDirectory(folder["checkpoint"]).FullName;
        string config = File.ReadAllText(Path.Combine(TestData.TinyShakespeare, ModelFiles.Config));
        string bare = System.Text.RegularExpressions.Regex.Replace(
            config,
            """\{\s*"__float__": "Infinity"\s*\}""",
            "Infinity"
        );
        Assert.NotEqual(config, bare);
        File.WriteAllText(Path.Combine(checkpoint, ModelFiles.Config), bare);
        BambaExporter.Export(
            checkpoint,
            folder["model"],
            new ExportOptions { Profiles = [GraphProfile.Web], Weights = false }
        );
        Assert.NotNull(Json(folder["model"], ModelFiles.Config)["time_step_limit"]);
    }

    [Fact]
    public void What_transformers_js_cannot_run_is_refused()
    {
        ArgumentException mamba = Assert.Throws<ArgumentException>(() => ExportWeb("all-mamba", ElementType.Float32));
        Assert.Contains("attention layers", mamba.Message, StringComparison.Ordinal);
        ArgumentException dtype = Assert.Throws<ArgumentException>(() => ExportWeb("base", ElementType.BFloat16));
        Assert.Contains("found bf16", dtype.Message, StringComparison.Ordinal);

        static void ExportWeb(string name, ElementType dtype)
        {
            using var folder = new TemporaryFolder();
            var options = new ExportOptions { Profiles = [GraphProfile.Web], Dtype = dtype };
            try
            {
                BambaExporter.Export(TestData.Case(name), folder["model"], options);
            }
            finally
            {
                Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
            }
        }
    }

    /// <summary>The files that a graph has weights in, with the end of the last tensor of each, in order.</summary>
    private static SortedDictionary<string, long> LocationsOf(string graph)
    {
        var files = new SortedDictionary<string, long>(
            Comparer<string>.Create((a, b) => (a.Length, a).CompareTo((b.Length, b)))
        );
        foreach (TensorProto tensor in ModelProto.Parser.ParseFrom(File.ReadAllBytes(graph)).Graph.Initializer)
        {
            Dictionary<string, string> place = tensor.ExternalData.ToDictionary(
                entry => entry.Key,
                entry => entry.Value
            );
            long end =
                long.Parse(place["offset"], CultureInfo.InvariantCulture)
                + long.Parse(place["length"], CultureInfo.InvariantCulture);
            files[place["location"]] = Math.Max(files.GetValueOrDefault(place["location"]), end);
        }
        return files;
    }

    private static int? FileCount(string folder) =>
        (int?)Json(folder, ModelFiles.Config)["transformers.js_config"]!["use_external_data_format"]!["model.onnx"];

    private static ModelManifest Export(TemporaryFolder folder, ExportOptions options) =>
        BambaExporter.Export(TestData.TinyShakespeare, folder["model"], options);

    private static JsonNode Json(string folder, string name) =>
        JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, name)))!;
}
