using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>Loads a graph of a model folder into ONNX Runtime; the one place where its loading errors become ours.</summary>
internal static class GraphLoader
{
    /// <exception cref="BambaFormatException">The graph is damaged or ONNX Runtime refuses it.</exception>
    /// <exception cref="BambaException">The provider is missing, or does not run the folder's element type.</exception>
    /// <exception cref="OperationCanceledException">The loading was cancelled.</exception>
    public static InferenceSession Load(
        ModelFolder folder,
        GraphProfile profile,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken = default
    )
    {
        cancellationToken.ThrowIfCancellationRequested();
        RequireRunnable(folder.Manifest.Options.Dtype, options.Provider);
        string path = Path.Combine(folder.Path, ModelFiles.Graph(profile));
        RequireUndamaged(folder.Manifest, path);
        using var sessionOptions = new SessionOptions
        {
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
            // Patterns are kept for ever for each shape of a call, and prompts have as many lengths as there are tokens in a context.
            EnableMemoryPattern = false,
        };
        Append(options.Provider, sessionOptions);
        Register(options, sessionOptions);
        // With CUDA the processor has shapes to compute and no more: further threads would only wait, and busily.
        if ((options.Threads ?? (options.Provider == ExecutionProvider.Cuda ? 1 : null)) is { } threads)
        {
            sessionOptions.IntraOpNumThreads = threads;
        }
        using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static loading => ((SessionOptions)loading!).SetLoadCancellationFlag(true),
            sessionOptions
        );
        try
        {
            return new InferenceSession(path, sessionOptions);
        }
        catch (OnnxRuntimeException e)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new BambaFormatException(path, $"ONNX Runtime cannot load it: {e.Message}", e);
        }
    }

    private static void Append(ExecutionProvider provider, SessionOptions sessionOptions)
    {
        if (provider == ExecutionProvider.Cpu)
        {
            return;
        }
        try
        {
            using var cuda = new OrtCUDAProviderOptions();
            cuda.UpdateOptions(new Dictionary<string, string> { ["use_tf32"] = "0" });
            sessionOptions.AppendExecutionProvider_CUDA(cuda);
        }
        catch (OnnxRuntimeException e)
        {
            throw new BambaException(
                $"expected ONNX Runtime's CUDA provider, found none that loads (package Microsoft.ML.OnnxRuntime.Gpu, CUDA 13, cuDNN 9): {e.Message}",
                e
            );
        }
    }

    private static void Register(BambaRuntimeOptions options, SessionOptions sessionOptions)
    {
        if (options.CustomOps.Find(options.Provider) is not { } library)
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
    private static void RequireUndamaged(ModelManifest manifest, string path)
    {
        string name = Path.GetFileName(path);
        ManifestFile? expected = manifest.Files.FirstOrDefault(file => file.Name == name);
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
