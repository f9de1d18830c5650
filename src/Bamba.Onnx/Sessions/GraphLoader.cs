using System.Globalization;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>Loads a graph of a model folder into ONNX Runtime; the one place where its loading errors become ours.</summary>
internal static class GraphLoader
{
    // ONNX Runtime adds the domain of a model's functions to a table of the process, and two loads at once may both try.
    private static readonly Lock Loading = new();

    /// <param name="folder">The model.</param>
    /// <param name="profile">Which of its graphs.</param>
    /// <param name="options">How.</param>
    /// <param name="device">The device to run on, on its stream; null for the processor.</param>
    /// <param name="cancellationToken">Ends the loading.</param>
    /// <exception cref="BambaFormatException">The graph is damaged or ONNX Runtime refuses it.</exception>
    /// <exception cref="BambaException">The provider is missing, or does not run the folder's element type.</exception>
    /// <exception cref="OperationCanceledException">The loading was cancelled.</exception>
    public static InferenceSession Load(
        ModelFolder folder,
        GraphProfile profile,
        BambaRuntimeOptions options,
        CudaDevice? device,
        CancellationToken cancellationToken = default
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        ExecutionProvider provider = device is null ? ExecutionProvider.Cpu : ExecutionProvider.Cuda;
        RequireRunnable(folder.Manifest.Options.Dtype, provider);
        string path = PathOf(folder, profile);
        RequireUndamaged(folder, profile, path);
        using var sessionOptions = new SessionOptions
        {
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            // Patterns are kept for ever for each shape of a call, and prompts have as many lengths as there are tokens in a context.
            EnableMemoryPattern = false,
        };
        if (device is not null)
        {
            Append(device, options.DeviceMemoryLimit, sessionOptions);
        }
        // Asks the native library for the operators that have no kernel on every provider.
        sessionOptions.AddSessionConfigEntry("bamba.provider", device is null ? "cpu" : "cuda");
        Register(options.CustomOps.Find(provider), sessionOptions);
        // With CUDA the processor has shapes to compute and no more: further threads would only wait, and busily.
        if ((options.Threads ?? (device is null ? ProcessorCores.Available : 1)) is { } threads)
        {
            sessionOptions.IntraOpNumThreads = threads;
        }
        // ONNX Runtime adds the time to the name; the file moves to its own name when it is whole.
        string? unfinished = options.TraceFile is { } trace ? $"{Path.GetFullPath(trace)}.{Guid.NewGuid():N}" : null;
        if (unfinished is not null)
        {
            sessionOptions.ProfileOutputPathPrefix = unfinished;
            sessionOptions.EnableProfiling = true;
        }
        using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static loading => ((SessionOptions)loading!).SetLoadCancellationFlag(true),
            sessionOptions
        );
        try
        {
            lock (Loading)
            {
                return new InferenceSession(path, sessionOptions);
            }
        }
        catch (OnnxRuntimeException e)
        {
            DeleteProfile(unfinished);
            cancellationToken.ThrowIfCancellationRequested();
            throw new BambaFormatException(path, $"ONNX Runtime cannot load it: {e.Message}", e);
        }
    }

    /// <summary>Deletes the profile of a session that came to nothing, which ONNX Runtime leaves.</summary>
    private static void DeleteProfile(string? start)
    {
        if (start is not null)
        {
            foreach (string file in Directory.GetFiles(Path.GetDirectoryName(start)!, $"{Path.GetFileName(start)}*"))
            {
                File.Delete(file);
            }
        }
    }

    private static string PathOf(ModelFolder folder, GraphProfile profile)
    {
        ExportLayout layout = folder.Manifest.Layout;
        return layout.Profiles.Contains(profile)
            ? Path.Combine(folder.Path, layout.Graph(profile))
            : throw new BambaFormatException(
                folder.Path,
                $"expected a graph of profile {Name(profile)}, found {string.Join(", ", layout.Profiles.Select(Name))}; export the model again with --profiles {Name(profile)}"
            );

        static string Name(GraphProfile profile) => profile.ToString().ToLowerInvariant();
    }

    private static void Append(CudaDevice device, long? memoryLimit, SessionOptions sessionOptions)
    {
        var settings = new Dictionary<string, string>
        {
            ["device_id"] = device.Ordinal.ToString(CultureInfo.InvariantCulture),
            ["has_user_compute_stream"] = "1",
            ["user_compute_stream"] = device.Stream.ToString(CultureInfo.InvariantCulture),
            ["use_tf32"] = "0",
            // The other strategy doubles what it takes each time, which a model of half a device's memory does not survive.
            ["arena_extend_strategy"] = "kSameAsRequested",
        };
        if (memoryLimit is { } bytes)
        {
            settings["gpu_mem_limit"] = bytes.ToString(CultureInfo.InvariantCulture);
        }
        // Weights stay for good: out of the arena they leave no holes in it.
        sessionOptions.AddSessionConfigEntry("session.use_device_allocator_for_initializers", "1");
        try
        {
            using var cuda = new OrtCUDAProviderOptions();
            cuda.UpdateOptions(settings);
            sessionOptions.AppendExecutionProvider_CUDA(cuda);
        }
        catch (OnnxRuntimeException e)
        {
            throw new BambaException(
                $"expected the libraries of ONNX Runtime's CUDA provider (CUDA 13 and cuDNN 9), found some missing: {e.Message}",
                e
            );
        }
    }

    private static void Register(string? library, SessionOptions sessionOptions)
    {
        if (library is null)
        {
            return;
        }
        try
        {
            sessionOptions.RegisterCustomOpLibrary(library);
        }
        catch (OnnxRuntimeException e)
        {
            throw new BambaFormatException(library, $"ONNX Runtime cannot load it: {e.Message}", e);
        }
    }

    private static void RequireRunnable(ElementType dtype, ExecutionProvider provider)
    {
        if (dtype == ElementType.BFloat16 && provider == ExecutionProvider.Cpu)
        {
            throw new BambaException(
                "ONNX Runtime's CPU provider does not run bfloat16 (bf16) models: export with --dtype f32 or --dtype f16, or run on CUDA"
            );
        }
    }

    /// <summary>Graphs are small, so that their hash is checked each time; of the weights only the size was.</summary>
    private static void RequireUndamaged(ModelFolder folder, GraphProfile profile, string path)
    {
        string name = folder.Manifest.Layout.Graph(profile);
        ManifestFile? expected = folder.Manifest.Files.FirstOrDefault(file => file.Name == name);
        if (expected is null)
        {
            throw new BambaFormatException(
                path,
                $"expected {ModelFiles.Manifest} to name this graph, found no such entry"
            );
        }
        using FileStream stream = File.OpenRead(path);
        string found = Convert.ToHexStringLower(SHA256.HashData(stream));
        if (found != expected.Sha256)
        {
            throw new BambaFormatException(
                path,
                $"is damaged: expected SHA-256 {expected.Sha256}, found {found}; export the model again"
            );
        }
    }
}
