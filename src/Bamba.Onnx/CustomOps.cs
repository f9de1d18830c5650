using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx;

/// <summary>
/// Which implementation of <see cref="Mamba2ChunkScanOp"/> a model runs: the kernels of the native library <c>bamba_ops</c>, or the
/// function of standard operators that its file carries.
/// </summary>
public sealed record CustomOps
{
    private enum Choice
    {
        Auto,
        Off,
        File,
    }

    private readonly Choice choice;
    private readonly string? path;

    private CustomOps(Choice choice, string? path = null)
    {
        this.choice = choice;
        this.path = path;
    }

    /// <summary>The library beside the application, or of the package Bamba.Onnx.CustomOps, where there is one, else the function.</summary>
    public static CustomOps Auto { get; } = new(Choice.Auto);

    /// <summary>The function.</summary>
    public static CustomOps Off { get; } = new(Choice.Off);

    /// <summary>The library at a path, which must be there.</summary>
    /// <exception cref="ArgumentException"><paramref name="path"/> is empty.</exception>
    public static CustomOps FromFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return new CustomOps(Choice.File, path);
    }

    /// <summary>The library's file name on this system.</summary>
    internal static string FileName { get; } = NativeName("bamba_ops");

    /// <summary>The library to register; null for none.</summary>
    /// <exception cref="BambaFormatException">The caller named a file that is not there.</exception>
    internal string? Find(ExecutionProvider provider) =>
        choice switch
        {
            Choice.Off => null,
            Choice.Auto => Candidates().FirstOrDefault(library => File.Exists(library) && Serves(library, provider)),
            _ => File.Exists(path)
                ? Path.GetFullPath(path)
                : throw new BambaFormatException(path!, "expected the library of native operators, found no file"),
        };

    /// <summary>The library of kernels for CUDA that lies beside a library; null where there is none.</summary>
    internal static string? FindCuda(string library)
    {
        string path = Path.Combine(Path.GetDirectoryName(library)!, NativeName("bamba_ops_cuda"));
        return File.Exists(path) ? path : null;
    }

    /// <summary>Whether a library has kernels for a provider: those for CUDA lie in a second one beside it.</summary>
    private static bool Serves(string library, ExecutionProvider provider) =>
        provider != ExecutionProvider.Cuda || FindCuda(library) is not null;

    private static string NativeName(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll"
        : OperatingSystem.IsMacOS() ? $"lib{name}.dylib"
        : $"lib{name}.so";

    // Where .NET itself looks for native libraries: beside the application, or where a package's files went when it was built.
    private static IEnumerable<string> Candidates() =>
        (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Prepend(AppContext.BaseDirectory)
            .Select(folder => Path.Combine(folder, FileName));

    /// <inheritdoc/>
    public override string ToString() =>
        choice == Choice.File ? path!
        : choice == Choice.Auto ? "auto"
        : "off";
}
