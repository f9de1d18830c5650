using Bamba.Onnx.Exporter.Torch;

namespace Bamba.Onnx.Cli.LibTorch;

/// <summary>
/// Where libtorch is, which exports alone need and a packed tool does not carry: in the folder that the user names, beside the
/// command, or in NuGet's folder of packages, where it is fetched to when it is nowhere.
/// </summary>
internal static class LibTorchSource
{
    /// <summary>The variable that names a folder of libtorch's libraries.</summary>
    public const string Variable = "BAMBA_ONNX_LIBTORCH";

    private const string PackagesVariable = "NUGET_PACKAGES";

    /// <summary>Makes TorchSharp usable; the first time that may take a download.</summary>
    /// <exception cref="IOException">libtorch is not where the user says, or it is nowhere and cannot be fetched.</exception>
    /// <exception cref="OperationCanceledException">The download was cancelled.</exception>
    public static void EnsureLoaded(CliConsole console, CancellationToken cancellationToken)
    {
        if (Named(console) is { } named)
        {
            TorchNative.EnsureLoaded(named);
        }
        else if (TorchNative.IsLibTorchBeside)
        {
            TorchNative.EnsureLoaded();
        }
        else
        {
            TorchNative.EnsureLoaded(Packaged(console, LibTorchPackage.OfThisSystem, cancellationToken));
        }
    }

    /// <summary>The folder of a package's libraries, fetched where it is not installed.</summary>
    /// <exception cref="IOException">There is no package for this system, or it cannot be fetched.</exception>
    /// <exception cref="OperationCanceledException">The download was cancelled.</exception>
    public static string Packaged(CliConsole console, LibTorchPackage? package, CancellationToken cancellationToken) =>
        package is null
            ? throw new IOException(
                $"exporting needs libtorch, and there is no package of it for this system; {Variable} may name a folder of its libraries"
            )
            : package.FolderIn(PackagesFolder(console))
                ?? LibTorchDownload.Run(console, package, PackagesVariable, cancellationToken);

    private static string? Named(CliConsole console) =>
        console.Variable(Variable) is not { Length: > 0 } folder ? null
        : File.Exists(Path.Combine(folder, TorchNative.LibTorchFile)) ? Path.GetFullPath(folder)
        : throw new FileNotFoundException(
            $"{Variable} is '{folder}': expected a folder with {TorchNative.LibTorchFile}, found none there"
        );

    // Where NuGet installs to unless its configuration names another place; that one it tells after a download, at once where all is there.
    private static string PackagesFolder(CliConsole console) =>
        console.Variable(PackagesVariable) is { Length: > 0 } folder
            ? folder
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
}
