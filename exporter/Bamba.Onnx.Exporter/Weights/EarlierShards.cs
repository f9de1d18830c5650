using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Takes over weights files that an earlier export finished, if checkpoint and files both have the hashes that were noted then:
/// no name, size or date says that a file is what it was.
/// </summary>
internal static class EarlierShards
{
    /// <summary>Brings files to their places.</summary>
    /// <param name="run">The export.</param>
    /// <param name="earlier">What there is.</param>
    /// <param name="cancellation">Looked at between tiles.</param>
    /// <returns>By the index of a file in the plan, the files that need not be written.</returns>
    public static Dictionary<int, ManifestFile> Take(
        WeightRun run,
        FinishedWeights earlier,
        CancellationToken cancellation
    )
    {
        Dictionary<int, ManifestFile> taken = TakeSame(run, earlier, cancellation);
        foreach ((int shard, _) in run.Plan.ShardBytes.Index().Where(shard => !taken.ContainsKey(shard.Index)))
        {
            File.Delete(ModelFiles.Shard(run.Path, shard));
        }
        return taken;
    }

    private static Dictionary<int, ManifestFile> TakeSame(
        WeightRun run,
        FinishedWeights earlier,
        CancellationToken cancellation
    )
    {
        Dictionary<int, ManifestFile> known = KnownFiles(run, earlier);
        List<CheckpointTensor>? tensors = TensorsOf(run.Checkpoint, earlier);
        if (known.Count == 0 || tensors is null || !HasErrors(run.Plan, earlier, known))
        {
            return [];
        }
        ProgressCounter progress = run.Progress(
            WeightStage.Checking,
            tensors.Sum(tensor => tensor.Bytes) + known.Values.Sum(file => file.Bytes)
        );
        run.OnThreads(tensors.Select(tensor => Hash(tensor, progress)), ShardFiles.None, progress, cancellation);
        if (!IsSame(run.Digests, earlier))
        {
            return [];
        }
        var taken = new Dictionary<int, ManifestFile>();
        foreach ((int shard, ManifestFile file) in known)
        {
            string place = ModelFiles.Shard(run.Path, shard);
            string source = Path.Combine(earlier.Folder, file.Name);
            if (source != place)
            {
                File.Copy(source, place);
            }
            if (run.HashOf(place, progress, cancellation) == file.Sha256)
            {
                taken.Add(shard, file);
            }
        }
        if (taken.Count > 0)
        {
            run.Quantization.Add(earlier.RelativeErrors);
        }
        return taken;
    }

    private static Dictionary<int, ManifestFile> KnownFiles(WeightRun run, FinishedWeights earlier)
    {
        var known = new Dictionary<int, ManifestFile>();
        for (int shard = 0; shard < run.Plan.ShardBytes.Count; shard++)
        {
            string name = run.NameOf(shard);
            ManifestFile? file = earlier.Files.FirstOrDefault(file =>
                file.Name == name && file.Bytes == run.Plan.ShardBytes[shard]
            );
            var found = new FileInfo(Path.Combine(earlier.Folder, name));
            if (file is not null && found.Exists && found.Length == file.Bytes)
            {
                known.Add(shard, file);
            }
        }
        return known;
    }

    /// <summary>The tensors whose hashes tell whether the checkpoint is the same; null if it is not.</summary>
    private static List<CheckpointTensor>? TensorsOf(CheckpointFolder checkpoint, FinishedWeights earlier)
    {
        if (earlier.SourceSha256 is not null)
        {
            return [.. checkpoint.Tensors.Values];
        }
        var tensors = new List<CheckpointTensor>();
        foreach (string name in earlier.TensorSha256.Keys)
        {
            if (!checkpoint.Tensors.TryGetValue(name, out CheckpointTensor? tensor))
            {
                return null;
            }
            tensors.Add(tensor);
        }
        return tensors;
    }

    /// <summary>Whether the error is known of each matrix that no unfinished file has a part of.</summary>
    private static bool HasErrors(WeightPlan plan, FinishedWeights earlier, Dictionary<int, ManifestFile> known) =>
        plan.Entries.All(entry =>
            entry.Source is not WeightSource.Quantized quantized
            || !quantized.Rows.ShardsWith(entry).All(known.ContainsKey)
            || earlier.RelativeErrors.ContainsKey(quantized.Rows.Name)
        );

    private static Action<EntryWriter> Hash(CheckpointTensor tensor, ProgressCounter progress) =>
        writer =>
        {
            writer.HashOnly(tensor);
            progress.Add(tensor.Bytes);
        };

    private static bool IsSame(SourceDigests digests, FinishedWeights earlier)
    {
        if (earlier.SourceSha256 is { } whole)
        {
            return digests.Combine() == whole;
        }
        IReadOnlyDictionary<string, string> found = digests.Completed();
        return earlier.TensorSha256.All(tensor => found[tensor.Key] == tensor.Value);
    }
}
