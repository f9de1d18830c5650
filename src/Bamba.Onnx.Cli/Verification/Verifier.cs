using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>Runs the graphs of a model folder against the expected values of a case.</summary>
internal static class Verifier
{
    private const string ExpectedFile = "expected.safetensors";
    private const string FilesCheck = "files.sha256";

    /// <exception cref="BambaFormatException">The folder or the case is missing or damaged.</exception>
    /// <exception cref="BambaException">
    /// The provider is missing, or does not run the folder's element type; or the folder has fewer bits than any limit allows.
    /// </exception>
    public static VerificationReport Verify(
        string folder,
        string reference,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken
    )
    {
        ModelFolder model = ModelFolder.Open(folder);
        if (QuantizationSummary.Of(model.Manifest) is { } quantization)
        {
            throw new BambaException(
                $"{folder}: expected a model of whole weights to hold against Hugging Face, found {quantization}; bamba-onnx quality tells what fewer bits cost"
            );
        }
        using SafetensorsValues expected = SafetensorsValues.Open(Path.Combine(reference, ExpectedFile));
        var checks = new List<VerificationCheck> { Files(model) };
        using CudaDevice? device = ProviderChoice.Of(options, model).Device;
        foreach (GraphProfile profile in model.Manifest.Layout.Profiles)
        {
            using InferenceSession graph = GraphLoader.Load(model, profile, options, device, cancellationToken);
            GraphSignature signature = GraphSignature.For(model.Config, profile, model.Manifest.GraphOptions);
            var run = new GraphChecks(
                graph,
                signature,
                profile,
                model.Manifest.Options.Dtype,
                expected,
                cancellationToken
            );
            checks.AddRange(run.All());
        }
        if (checks.All(check => check.Skipped is not null || check.Name == FilesCheck))
        {
            throw new BambaFormatException(
                reference,
                "expected a case with full.*, greedy_*.* or {i}.* tensors, found none of them"
            );
        }
        return VerificationReport.Of([], checks);
    }

    /// <summary>How many files differ from the hashes of the manifest.</summary>
    private static VerificationCheck Files(ModelFolder model)
    {
        int damaged = model.Manifest.Files.Count(file =>
        {
            using FileStream stream = File.OpenRead(Path.Combine(model.Path, file.Name));
            return Convert.ToHexStringLower(SHA256.HashData(stream)) != file.Sha256;
        });
        return VerificationCheck.Of(FilesCheck, damaged, 0);
    }
}
