using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Torch;

/// <summary>
/// Loads TorchSharp's native library where the system's C++ runtime is a little too old for it. The library names a
/// symbol version of GCC 13 (<c>GLIBCXX_3.4.32</c>) for a function that it never calls, which is enough for the dynamic
/// linker of Debian 12 or Ubuntu 22.04 to refuse it. There, a copy whose requirement is marked weak is loaded instead. libtorch may
/// lie in a folder of its own, since it is too large for a package of an application.
/// </summary>
public static unsafe class TorchNative
{
    private const string LibraryName = "LibTorchSharp";
    private const string NewestVersion = "GLIBCXX_3.4.32";

    // The one symbol of that version: the C++ runtime has both or neither.
    private const string SymbolOfNewestVersion = "_ZSt21ios_base_library_initv";

    private static readonly string[] dependencies = [.. ((string[])["c10", "torch_cpu", "torch"]).Select(FileName)];

    private static readonly string LibraryFile = FileName(LibraryName);

    private static readonly Lock gate = new();
    private static bool loaded;

    /// <summary>The file by which a folder of libtorch is known on this system.</summary>
    public static string LibTorchFile => FileName("torch_cpu");

    /// <summary>Whether libtorch is where this application has its native libraries.</summary>
    public static bool IsLibTorchBeside => Find(ApplicationFolders(), LibTorchFile) is not null;

    /// <summary>
    /// Makes TorchSharp usable in this process; every later call returns at once. Call it before the first use of any
    /// TorchSharp type: TorchSharp does not try again after it failed. The modules of this assembly call it themselves.
    /// </summary>
    /// <param name="libTorch">A folder of libtorch's libraries; without one they are among the application's own.</param>
    /// <exception cref="BambaException">A library cannot be found, copied, patched or loaded.</exception>
    public static void EnsureLoaded(string? libTorch = null)
    {
        lock (gate)
        {
            if (!loaded)
            {
                Load(libTorch);
                loaded = true;
            }
        }
    }

    private static void Load(string? libTorch)
    {
        IntPtr runtime = OldRuntime();
        if (runtime == 0 && libTorch is null)
        {
            return;
        }
        string[] folders = [.. libTorch is null ? [] : (string[])[libTorch], .. ApplicationFolders()];
        string original =
            Find(folders, LibraryFile)
            ?? throw new BambaException($"{LibraryFile} is in none of the folders {string.Join(", ", folders)}");
        try
        {
            // TorchSharp's library finds what is loaded already by its name, wherever it lies.
            foreach (string dependency in dependencies)
            {
                if (Find(folders, dependency) is { } path)
                {
                    NativeLibrary.Load(path);
                }
            }
            if (runtime == 0)
            {
                NativeLibrary.Load(original);
            }
            else
            {
                ConstructStandardStreams(runtime);
                LoadCopy(Patched(original));
            }
        }
        catch (Exception e)
            when (e is IOException or InvalidDataException or UnauthorizedAccessException or DllNotFoundException)
        {
            string reason =
                runtime == 0
                    ? "cannot be loaded"
                    : $"needs {NewestVersion} of libstdc++.so.6, which this system is too old for, and a copy that does without cannot be loaded";
            throw new BambaException($"{original} {reason}: {e.Message}", e);
        }
    }

    /// <summary>The system's C++ runtime where it is too old for the library; else 0.</summary>
    private static IntPtr OldRuntime() =>
        OperatingSystem.IsLinux()
        && NativeLibrary.TryLoad("libstdc++.so.6", out IntPtr runtime)
        && !NativeLibrary.TryGetExport(runtime, SymbolOfNewestVersion, out _)
            ? runtime
            : 0;

    private static string FileName(string library) =>
        OperatingSystem.IsWindows() ? $"{library}.dll"
        : OperatingSystem.IsMacOS() ? $"lib{library}.dylib"
        : $"lib{library}.so";

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
            NativeLibrary.Load(PatchedLibraryCache.Store(folders, $"lib{LibraryName}", image));
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

    private static string[] ApplicationFolders()
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
