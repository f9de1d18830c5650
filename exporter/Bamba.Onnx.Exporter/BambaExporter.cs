using System.Collections.Immutable;
using System.Reflection;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Companions;
using Bamba.Onnx.Exporter.Lowering;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Google.Protobuf;
using TorchSharp;

namespace Bamba.Onnx.Exporter;

/// <summary>Turns a checkpoint folder into a model folder.</summary>
public static class BambaExporter
{
    private static readonly (string Name, string Version) Producer = (
        "bamba-onnx",
        typeof(BambaExporter)
            .Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion.Split('+')[0]
    );

    /// <summary>
    /// Exports. Everything is written to a temporary folder beside the target, which takes the target's place when it is
    /// whole; a failure or a cancellation leaves the target as it was. Files of weights that an export of the same has finished are
    /// not made again, be it the target or one that was killed: their hashes and the checkpoint's say whether they are the same.
    /// </summary>
    /// <param name="checkpoint">The checkpoint folder; a config.json is enough without weights.</param>
    /// <param name="target">The model folder to make; an earlier export there is replaced.</param>
    /// <param name="options">What to write.</param>
    /// <param name="progress">Hears of stages and bytes.</param>
    /// <param name="cancellationToken">Ends the export.</param>
    /// <exception cref="BambaFormatException">The checkpoint is missing, damaged or contradicts itself.</exception>
    /// <exception cref="BambaException">A weight does not fit the element type, or the target is a folder of other things.</exception>
    /// <exception cref="IOException">The target cannot be written, or its disk is full.</exception>
    public static ModelManifest Export(
        string checkpoint,
        string target,
        ExportOptions options,
        IProgress<ExportProgress>? progress = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(options);
        progress?.Report(new ExportProgress(ExportStage.Building, 0, 0));

        using CheckpointFolder? source = options.Weights ? CheckpointFolder.Open(checkpoint) : null;
        BambaConfig config = source?.Config ?? BambaConfig.Load(Path.Combine(checkpoint, ModelFiles.Config));
        using var module = new BambaForCausalLM(config, new BambaModuleOptions { Device = DeviceType.META });
        source?.RequireTensors(BambaTensors.Of(config));
        GraphOptions graphOptions = GraphOptionsOf(options);
        QuantizationOptions? quantization = options.Quantization?.For(config, graphOptions.Dtype);
        int contextLength = ContextLengthOf(options, config);
        ExportLayout layout = LayoutOf(options, config, quantization);
        using StagingFolder staging = StagingFolder.For(target);
        var weights = new WeightPlan(layout.MostFileBytes(options.MaxShardBytes));
        Dictionary<GraphProfile, byte[]> graphs = layout.Profiles.ToDictionary(
            profile => profile,
            profile =>
                BambaLowering
                    .Lower(
                        module,
                        profile,
                        graphOptions,
                        contextLength,
                        Producer,
                        weights,
                        quantization,
                        layout.WeightsSeenFrom(profile)
                    )
                    .ToByteArray()
        );
        RequireFewFiles(options, layout, weights);
        if (source is not null && quantization is { NeedsActivations: true })
        {
            progress?.Report(new ExportProgress(ExportStage.Calibrating, 0, 0));
            weights.MeanSquares = ActivationStatistics.Measure(source, WindowsOf(options), cancellationToken);
        }
        string? recipe = source is null
            ? null
            : WeightRecipe.Of(File.ReadAllBytes(source.ConfigPath), graphs.Values, weights);
        WeightResult? written = source is null
            ? null
            : WriteWeights(source, weights, staging, layout.Weights, recipe!, progress, cancellationToken);
        foreach ((GraphProfile profile, byte[] graph) in graphs)
        {
            File.WriteAllBytes(staging.File(layout.Graph(profile)), graph);
        }
        CompanionFiles.Write(checkpoint, staging.Path, config, contextLength, layout, weights.ShardBytes.Count);

        var manifest = new ModelManifest
        {
            FormatVersion = ModelManifest.CurrentFormatVersion,
            Producer = $"{Producer.Name} {Producer.Version}",
            Source = new ManifestSource { ModelType = BambaConfig.ModelType, Sha256 = written?.SourceSha256 },
            Options = new ManifestOptions
            {
                Dtype = graphOptions.Dtype,
                Profiles = layout.Profiles.SequenceEqual(ExportLayout.DefaultProfiles) ? null : layout.Profiles,
                WebDtype = layout.WebDtype,
                Logits = graphOptions.Logits,
                OutputHiddenStates = graphOptions.OutputHiddenStates,
                Weights = options.Weights,
                ContextLength = contextLength,
            },
            Parameters = BambaTensors
                .Of(config)
                .Values.Sum(shape => shape.Aggregate(1L, (product, size) => product * size)),
            Quantization = QuantizedOf(weights, written),
            Recipe = recipe,
            Files = FilesOf(layout, graphs, written),
        };
        manifest.Save(staging.Path);
        File.Delete(staging.File(FinishedWeights.FileName));
        cancellationToken.ThrowIfCancellationRequested();
        staging.Publish();
        progress?.Report(new ExportProgress(ExportStage.Done, weights.FileBytes, weights.FileBytes));
        return manifest;
    }

    private static GraphOptions GraphOptionsOf(ExportOptions options)
    {
        ElementType dtype = options.Dtype ?? ElementType.Float32;
        if (dtype is not (ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
        {
            throw new ArgumentException(
                $"expected f32, f16 or bf16 as element type, found {dtype.ShortName()}",
                nameof(options)
            );
        }
        return new GraphOptions
        {
            Dtype = dtype,
            Logits = options.Logits,
            OutputHiddenStates = options.OutputHiddenStates,
        };
    }

    private static ExportLayout LayoutOf(ExportOptions options, BambaConfig config, QuantizationOptions? quantization)
    {
        ImmutableArray<GraphProfile> profiles = options.Profiles is { } chosen
            ? [.. chosen.Distinct().Order()]
            : ExportLayout.DefaultProfiles;
        if (profiles.IsEmpty || !profiles.All(Enum.IsDefined))
        {
            throw new ArgumentException(
                $"expected one or more of the profiles {string.Join(", ", Enum.GetNames<GraphProfile>())}, found {(profiles.IsEmpty ? "none" : string.Join(", ", profiles))}",
                nameof(options)
            );
        }
        if (!profiles.Contains(GraphProfile.Web))
        {
            return new ExportLayout(profiles, null);
        }
        if (!config.Layers.Contains(LayerKind.Attention))
        {
            throw new ArgumentException(
                "expected a model with attention layers for profile web, as transformers.js reads the length of the past from their keys; found Mamba layers only",
                nameof(options)
            );
        }
        return new ExportLayout(
            profiles,
            WebDtypes.Of(options.Dtype ?? ElementType.Float32, quantization?.LeastBits(config))
        );
    }

    private static void RequireFewFiles(ExportOptions options, ExportLayout layout, WeightPlan weights)
    {
        if (layout.WebDtype is not null && weights.ShardBytes.Count > ExportLayout.MostWebFiles)
        {
            throw new ArgumentException(
                $"expected files of weights so large that there are at most {ExportLayout.MostWebFiles} of them, which is what transformers.js takes; found {weights.ShardBytes.Count}",
                nameof(options)
            );
        }
    }

    private static int ContextLengthOf(ExportOptions options, BambaConfig config)
    {
        int contextLength = options.ContextLength ?? config.MaxPositionEmbeddings;
        if (contextLength < 1 || contextLength > config.MaxPositionEmbeddings)
        {
            throw new ArgumentException(
                $"expected a context length from 1 to max_position_embeddings = {config.MaxPositionEmbeddings}, found {contextLength}",
                nameof(options)
            );
        }
        return contextLength;
    }

    private static IReadOnlyList<int[]> WindowsOf(ExportOptions options) =>
        options.CalibrationTokens is [{ Length: > 0 } first, ..] windows
        && windows.All(window => window.Length == first.Length)
            ? windows
            : throw new ArgumentException(
                "expected windows of tokens, all as long, to see activations on",
                nameof(options)
            );

    private static ImmutableArray<ManifestMatrix>? QuantizedOf(WeightPlan weights, WeightResult? written)
    {
        ImmutableArray<ManifestMatrix> matrices =
        [
            .. weights.QuantizedMatrices.Select(matrix => new ManifestMatrix(
                matrix.Key,
                matrix.Value,
                written?.RelativeErrors[matrix.Key]
            )),
        ];
        return matrices.IsEmpty ? null : matrices;
    }

    /// <summary>Writes the weights that neither an export that was killed nor the target has finished.</summary>
    private static WeightResult WriteWeights(
        CheckpointFolder source,
        WeightPlan weights,
        StagingFolder staging,
        string file,
        string recipe,
        IProgress<ExportProgress>? progress,
        CancellationToken cancellationToken
    )
    {
        staging.GoOnFromKilled(folder => FinishedWeights.OfInterrupted(folder, recipe) is not null);
        FinishedWeights? earlier =
            FinishedWeights.OfInterrupted(staging.Path, recipe) ?? FinishedWeights.OfExport(staging.Target, recipe);
        return WeightStreamer.Write(
            source,
            weights,
            staging.File(file),
            StreamLimits.Default,
            new ShardRecord(staging.Path, recipe, earlier),
            ProgressOfBytes(progress),
            cancellationToken
        );
    }

    private static ImmutableArray<ManifestFile> FilesOf(
        ExportLayout layout,
        IReadOnlyDictionary<GraphProfile, byte[]> graphs,
        WeightResult? written
    )
    {
        ImmutableArray<ManifestFile>.Builder files = ImmutableArray.CreateBuilder<ManifestFile>();
        foreach ((GraphProfile profile, byte[] graph) in graphs)
        {
            string name = layout.Graph(profile);
            string hash = Convert.ToHexStringLower(SHA256.HashData(graph));
            files.Add(new ManifestFile(name, graph.Length, hash));
        }
        if (written is not null)
        {
            files.AddRange(written.Files);
        }
        return files.ToImmutable();
    }

    private static ProgressOfWeights? ProgressOfBytes(IProgress<ExportProgress>? progress) =>
        progress is null ? null : new ProgressOfWeights(progress);

    private sealed class ProgressOfWeights(IProgress<ExportProgress> progress) : IProgress<WeightProgress>
    {
        public void Report(WeightProgress value) =>
            progress.Report(
                new ExportProgress(
                    value.Stage switch
                    {
                        WeightStage.Checking => ExportStage.Checking,
                        WeightStage.Hashing => ExportStage.Hashing,
                        _ => ExportStage.Writing,
                    },
                    value.BytesDone,
                    value.BytesTotal
                )
            );
    }
}
