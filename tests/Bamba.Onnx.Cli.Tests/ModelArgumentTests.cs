using System.Text.Json;
using Bamba.Onnx.Hub.Tests;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class ModelArgumentTests : IAsyncLifetime
{
    private readonly TemporaryFolder folder = new();
    private TestHub hub = null!;

    private Dictionary<string, string> Variables =>
        new()
        {
            ["HF_HOME"] = folder["huggingface"],
            ["BAMBA_ONNX_CACHE"] = folder["exports"],
            ["HF_ENDPOINT"] = hub.Endpoint.AbsoluteUri,
        };

    private string HubCache => folder["huggingface/hub"];

    private string Snapshot => Path.Combine(HubCache, "models--lab--bamba-small", "snapshots", TestHub.Commit);

    public async ValueTask InitializeAsync()
    {
        hub = await TestHub.StartAsync();
        hub.Files.Clear();
        foreach (string name in (string[])["config.json", "model.safetensors", "generation_config.json"])
        {
            byte[] content = await File.ReadAllBytesAsync(
                Path.Combine(TestData.Case("base"), name),
                TestContext.Current.CancellationToken
            );
            hub.Add(new HubFile(name, content, IsLarge: name == "model.safetensors"));
        }
        hub.Add(
            new HubFile(
                "tokenizer.json",
                await File.ReadAllBytesAsync(
                    Path.Combine(TestData.TinyShakespeare, "tokenizer.json"),
                    TestContext.Current.CancellationToken
                )
            )
        );
    }

    public async ValueTask DisposeAsync()
    {
        await hub.DisposeAsync();
        folder.Dispose();
    }

    private Task<CliRun> Run(params string[] args) => CliRun.In(Variables, args);

    [Fact]
    public async Task An_id_is_downloaded_once_where_that_is_allowed_and_exported_once()
    {
        CliRun first = await Run("inspect", TestHub.Model, "--download", "--json");
        Assert.Equal((0, $"exporting lab/bamba-small to {folder["exports"]}\n"), (first.ExitCode, first.Error));
        using var json = JsonDocument.Parse(first.Out);
        Assert.True(json.RootElement.GetProperty("parameters").GetInt64() > 0);
        int requests = hub.Requests.Count;
        CliRun second = await Run("inspect", TestHub.Model, "--json");
        Assert.Equal((0, "", first.Out), (second.ExitCode, second.Error, second.Out));
        Assert.Equal(requests, hub.Requests.Count);
    }

    [Fact]
    public async Task Without_download_an_unknown_id_is_bad_input_with_what_to_do()
    {
        CliRun run = await Run("run", TestHub.Model, "--prompt", "x");
        Assert.Equal(
            (
                3,
                "",
                $"error: {HubCache}: has no model lab/bamba-small, nor is there a folder of that name; get it with --download, or by: hf download lab/bamba-small\n"
            ),
            (run.ExitCode, run.Out, run.Error)
        );
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task Tokenize_needs_no_weights()
    {
        Assert.Equal(0, (await Run("tokenize", TestHub.Model, "--download")).ExitCode);
        Assert.True(File.Exists(Path.Combine(Snapshot, "tokenizer.json")));
        Assert.False(File.Exists(Path.Combine(Snapshot, "model.safetensors")));
        // What is here is enough for this command, and not for others.
        Assert.Equal(0, (await Run("tokenize", TestHub.Model)).ExitCode);
        CliRun run = await Run("bench", TestHub.Model);
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("is not the whole of lab/bamba-small: model.safetensors is missing", run.Error);
    }

    [Fact]
    public async Task Export_and_verify_take_an_id_at_a_revision()
    {
        string target = folder["out"];
        string[] model = [TestHub.Model, "--revision", TestHub.Commit[..8], "--download"];
        CliRun export = await Run(["export", .. model, "-o", target]);
        Assert.Equal((0, target + "\n"), (export.ExitCode, export.Out));
        Assert.True(File.Exists(Path.Combine(target, "bamba.json")));
        CliRun verify = await Run(["verify", .. model, "--reference", TestData.Case("base")]);
        Assert.Contains("checks passed", verify.Out);
        Assert.DoesNotContain("FAILED", verify.Out);
        // The hub's tokenizer is another model's, which verify does not miss.
        Assert.Equal(1, verify.ExitCode);
        Assert.Matches("(?m)^genai.pad +BROKEN", verify.Out);
    }

    [Fact]
    public async Task What_is_exported_already_is_not_exported()
    {
        CliRun run = await Run("export", ExportedModels.Of(TestData.Case("base")), "-o", folder["out"]);
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("expected a checkpoint, found an exported model", run.Error);
    }

    [Theory]
    [InlineData("", "--revision", "v1", 2, "is a folder, which has no revision such as 'v1'")]
    [InlineData("lab/bamba-small@v1", "--revision", "v2", 2, "two revisions are given, 'v1' and 'v2'")]
    [InlineData("lab/bamba-small", "--revision", "../x", 2, "revision: '../x' is no name of a branch, tag or commit")]
    [InlineData("lab/bamba-small@v9", "--download", null, 3, "has no revision 'v9' of it")]
    [InlineData("lab/other", "--download", null, 3, "has no such model, or it is private; no token was sent")]
    public async Task A_wrong_model_is_told_by_message_and_exit_code(
        string model,
        string option,
        string? value,
        int exitCode,
        string expected
    )
    {
        string[] options = value is null ? [option] : [option, value];
        CliRun run = await Run(["inspect", model.Length == 0 ? TestData.Case("base") : model, .. options]);
        Assert.Equal((exitCode, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task Offline_no_download_asks_the_network()
    {
        Dictionary<string, string> variables = Variables;
        variables["HF_HUB_OFFLINE"] = "1";
        CliRun run = await CliRun.In(variables, "inspect", TestHub.Model, "--download");
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("HF_HUB_OFFLINE forbids to download it", run.Error);
        Assert.Empty(hub.Requests);
    }

    [Fact]
    public async Task A_hub_that_is_no_address_is_wrong_usage()
    {
        Dictionary<string, string> variables = Variables;
        variables["HF_ENDPOINT"] = "nonsense";
        CliRun run = await CliRun.In(variables, "inspect", TestHub.Model);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("HF_ENDPOINT: expected an address", run.Error);
    }

    [Fact]
    public async Task List_tells_checkpoints_and_kept_exports()
    {
        CliRun empty = await Run("list");
        Assert.Equal((0, ""), (empty.ExitCode, empty.Out));
        Assert.Equal($"no model in {HubCache} or {folder["exports"]}\n", empty.Error);
        await Run("inspect", TestHub.Model, "--download");
        CliRun run = await Run("list");
        string[] lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Matches(@"^MODEL +REVISION +KIND +SIZE$", lines[0]);
        Assert.Matches(@"^lab/bamba-small +main, 0123456789ab +checkpoint +\d+\.\d MB$", lines[1]);
        Assert.Matches(@"^lab/bamba-small +0123456789ab +kept export, f32 +\d+\.\d MB$", lines[2]);
        using var json = JsonDocument.Parse((await Run("list", "--json")).Out);
        JsonElement[] models = [.. json.RootElement.EnumerateArray()];
        Assert.Equal(
            [Snapshot, Directory.EnumerateDirectories(folder["exports"], "bamba-small-*").Single()],
            models.Select(model => model.GetProperty("folder").GetString())
        );
        Assert.Equal(["main"], models[0].GetProperty("revisions").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(
            hub.Files.Values.Sum(file => (long)file.Content.Length),
            models[0].GetProperty("bytes").GetInt64()
        );
    }

    [Fact]
    public async Task List_says_what_a_model_lacks()
    {
        await Run("tokenize", TestHub.Model, "--download");
        Assert.Contains("checkpoint, not whole: model.safetensors is missing", (await Run("list")).Out);
        Assert.Equal(
            "[]",
            (
                await CliRun.In(
                    new Dictionary<string, string>
                    {
                        ["HF_HOME"] = folder["nowhere"],
                        ["BAMBA_ONNX_CACHE"] = folder["nowhere"],
                    },
                    "list",
                    "--json"
                )
            ).Out.Trim()
        );
    }

    [Fact]
    public async Task Ids_at_hand_are_proposed()
    {
        await Run("tokenize", TestHub.Model, "--download");
        const string line = "bamba-onnx run lab/b";
        Assert.Equal("lab/bamba-small\n", (await Run($"[suggest:{line.Length}]", line)).Out);
    }
}
