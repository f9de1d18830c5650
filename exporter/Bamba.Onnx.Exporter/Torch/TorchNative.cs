using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Torch;

/// <summary>
/// Loads TorchSharp's native library where the system's C++ runtime is a little too old for it. The library names a
/// symbol version of GCC 13 (<c>GLIBCXX_3.4.32</c>) for a function that it never calls, which is enough for the dynamic
/// linker of Debian 12 or Ubuntu 22.04 to refuse it. There, a copy whose requirement is marked weak is loaded instead.
/// </summary>
public static unsafe class TorchNative
{
    private const string LibraryName = "libLibTorchSharp";
    private const string LibraryFile = LibraryName + ".so";
    private const string NewestVersion = "GLIBCXX_3.4.32";

    // The one symbol of that version: the C++ runtime has both or neither.
    private const string SymbolOfNewestVersion = "_ZSt21ios_base_library_initv";

    private static readonly string[] dependencies = ["libc10.so", "libtorch_cpu.so", "libtorch.so"];

    private static readonly Lazy<bool> loaded = new(Load);

    /// <summary>
    /// Makes TorchSharp usable in this process; every later call returns at once. Call it before the first use of any
    /// TorchSharp type: TorchSharp does not try again after it failed. The modules of this assembly call it themselves.
    /// </summary>
    /// <exception cref="BambaException">The library cannot be found, copied, patched or loaded.</exception>
    public static void EnsureLoaded() => _ = loaded.Value;

    private static bool Load()
    {
        if (
            !OperatingSystem.IsLinux()
            || !NativeLibrary.TryLoad("libstdc++.so.6", out IntPtr runtime)
            || NativeLibrary.TryGetExport(runtime, SymbolOfNewestVersion, out _)
        )
        {
            return true;
        }
        string[] folders = SearchFolders();
        string original =
            Find(folders, LibraryFile)
            ?? throw new BambaException($"{LibraryFile} is in none of the folders {string.Join(", ", folders)}");
        try
        {
            // The copy's own folder has no libtorch beside it. What is loaded already is found by its name.
            foreach (string dependency in dependencies)
            {
                if (Find(folders, dependency) is { } path)
                {
                    NativeLibrary.Load(path);
                }
            }
            ConstructStandardStreams(runtime);
            LoadCopy(Patched(original));
            return true;
        }
        catch (Exception e)
            when (e is IOException or InvalidDataException or UnauthorizedAccessException or DllNotFoundException)
        {
            throw new BambaException(
                $"{original} needs {NewestVersion} of libstdc++.so.6, which this system is too old for, and a copy that does without cannot be loaded: {e.Message}",
                e
            );
        }
    }

    /// <summary>TorchSharp then finds the copy by the name it carries inside, once it has failed to load the original.</summary>
    private static void LoadCopy(byte[] image)
    {
        string cache = Environment.GetFolderPath(
            Environment.SpecialFolder.LocalApplicationData,
            Environment.SpecialFolderOption.DoNotVerify
        );
        // Used where the home folder is absent or read-only. Its name is new each time, since anybody may write next to
        // it, and it goes once the library is mapped.
        string temporary = Path.Combine(Path.GetTempPath(), $"bamba-onnx-{Guid.NewGuid():N}");
        string[] folders = cache.Length > 0 ? [Path.Combine(cache, "bamba-onnx", "native"), temporary] : [temporary];
        try
        {
            NativeLibrary.Load(PatchedLibraryCache.Store(folders, LibraryName, image));
        }
        finally
        {
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }

    private static byte[] Patched(string path)
    {
        byte[] image = File.ReadAllBytes(path);
        return ElfVersionNeeds.MakeWeak(image, NewestVersion) > 0
            ? image
            : throw new InvalidDataException($"{path} does not ask for {NewestVersion}");
    }

    /// <summary>
    /// What the absent function would have done: construct <c>std::ios_base::Init</c>, so that <c>std::cout</c> is usable
    /// whichever library was the first to load. It is never destroyed, as its counterpart in GCC 13 is not.
    /// </summary>
    private static void ConstructStandardStreams(IntPtr runtime)
    {
        var constructor = (delegate* unmanaged<void*, void>)NativeLibrary.GetExport(runtime, "_ZNSt8ios_base4InitC1Ev");
        constructor(NativeMemory.AllocZeroed((nuint)sizeof(nint)));
    }

    private static string[] SearchFolders()
    {
        string listed = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        string application = AppContext.BaseDirectory;
        string runtime = Path.Combine(application, "runtimes", RuntimeInformation.RuntimeIdentifier, "native");
        return
        [
            .. listed
                .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
                .Append(application)
                .Append(runtime)
                .Distinct(),
        ];
    }

    private static string? Find(string[] folders, string file) =>
        folders.Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);
}
