namespace Bamba.Onnx.Testing;

/// <summary>Where test data lies: the models in the repository, and the reference data beside it.</summary>
public static class TestData
{
    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The small real checkpoint that the repository ships.</summary>
    public static string TinyShakespeare { get; } = Path.Combine(Root, "models", "bamba-tiny-shakespeare");

    /// <summary>The shape of the public 9B model.</summary>
    public static string Bamba9BConfig { get; } = Path.Combine(Root, "models", "bamba-9b-v2", "config.json");

    /// <summary>The names of the reference cases, each a random checkpoint with what Hugging Face computes for it.</summary>
    public static IReadOnlyList<string> CaseNames { get; } =
    ["base", "two-groups", "all-mamba", "all-attention-but-one", "bamba-9b-heads", "dt-limit"];

    /// <summary>The folder of a reference case.</summary>
    public static string Case(string name) => Path.Combine(Root, "tests", "reference", "cases", name);

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Bamba.Onnx.sln")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException($"no Bamba.Onnx.sln above {AppContext.BaseDirectory}");
    }
}
