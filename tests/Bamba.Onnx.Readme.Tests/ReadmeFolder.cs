using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Readme.Tests;

/// <summary>
/// The folder that README's reader stands in. What README names is there, so that its snippets run as they are printed; the
/// models of nine billion parameters are stood in for by the small one that the repository has.
/// </summary>
public sealed class ReadmeFolder : IDisposable
{
    /// <summary>The checkpoint that a reader has downloaded.</summary>
    public const string Checkpoint = "Bamba-9B-v2";

    /// <summary>The id of that checkpoint. A folder of this name goes before the id, so that nothing asks the network.</summary>
    public const string CheckpointId = "ibm-ai-platform/Bamba-9B-v2";

    /// <summary>What a reader has exported.</summary>
    public const string Export = "bamba-out";

    /// <summary>The command.</summary>
    public const string Command = "bamba-onnx";

    private readonly TemporaryFolder folder = new();

    public ReadmeFolder()
    {
        Directory.CreateSymbolicLink(folder[Checkpoint], TestData.TinyShakespeare);
        Directory.CreateDirectory(folder["ibm-ai-platform"]);
        Directory.CreateSymbolicLink(folder[CheckpointId], TestData.TinyShakespeare);
        Directory.CreateDirectory(folder[Export]);
        foreach (string file in Directory.EnumerateFiles(ExportedModels.Of(TestData.TinyShakespeare)))
        {
            File.Copy(file, System.IO.Path.Combine(folder[Export], System.IO.Path.GetFileName(file)));
        }
        File.CreateSymbolicLink(folder[Command], System.IO.Path.Combine(AppContext.BaseDirectory, Command));
    }

    public string Path => folder.Path;

    /// <summary>Where the command keeps exports of its own.</summary>
    public string Cache => folder["cache"];

    /// <summary>Where the command looks models up by name: not in the cache of whoever runs the tests.</summary>
    public string HubCache => folder["hub"];

    public void Dispose() => folder.Dispose();
}
