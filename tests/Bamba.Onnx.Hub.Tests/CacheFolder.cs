using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>A cache as Hugging Face's tools leave it, made by hand.</summary>
internal sealed class CacheFolder : IDisposable
{
    public const string Commit = "aaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    public const string OtherCommit = "aaaaaaaccccccccccccccccccccccccccccccccc";

    private readonly TemporaryFolder folder = new();

    public string Path => folder.Path;

    public string Repository => folder["models--lab--bamba"];

    public string Snapshot(string commit = Commit) => System.IO.Path.Combine(Repository, "snapshots", commit);

    public void AddFile(string name, string content, string commit = Commit)
    {
        Directory.CreateDirectory(Snapshot(commit));
        File.WriteAllText(System.IO.Path.Combine(Snapshot(commit), name), content);
    }

    public void AddCheckpoint(string commit = Commit)
    {
        AddFile("config.json", """{"model_type": "bamba"}""", commit);
        AddFile("model.safetensors", "weights", commit);
    }

    public void SetBranch(string name, string commit = Commit)
    {
        string file = System.IO.Path.Combine(Repository, "refs", name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        File.WriteAllText(file, commit);
    }

    public void Dispose() => folder.Dispose();
}
