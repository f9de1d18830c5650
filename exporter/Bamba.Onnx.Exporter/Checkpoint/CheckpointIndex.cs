using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>The index of a sharded checkpoint: which file of the folder holds which tensor.</summary>
internal sealed class CheckpointIndex
{
    private readonly string path;
    private readonly Dictionary<string, string> shardOfTensor;

    private CheckpointIndex(string path, Dictionary<string, string> shardOfTensor)
    {
        this.path = path;
        this.shardOfTensor = shardOfTensor;
    }

    /// <summary>Reads an index.</summary>
    /// <exception cref="BambaFormatException">It is unreadable or damaged, or names something that is not a file of its folder.</exception>
    public static CheckpointIndex Load(string path)
    {
        using JsonDocument json = CheckpointJson.Parse(path, ReadAllBytes(path));
        if (
            json.RootElement.ValueKind != JsonValueKind.Object
            || !json.RootElement.TryGetProperty("weight_map", out JsonElement map)
            || map.ValueKind != JsonValueKind.Object
        )
        {
            throw new BambaFormatException(path, "weight_map: expected an object of tensor names to file names");
        }
        var shardOfTensor = new Dictionary<string, string>();
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string? shard =
                entry.Value.ValueKind == JsonValueKind.String ? CheckpointJson.Text(path, entry.Value) : null;
            if (shard is null || !IsPlainFileName(shard))
            {
                throw new BambaFormatException(
                    path,
                    $"tensor {entry.Name}: expected the name of a .safetensors file in the same folder, "
                        + $"found {CheckpointJson.Describe(entry.Value)}"
                );
            }
            shardOfTensor.Add(entry.Name, shard);
        }
        return shardOfTensor.Count > 0
            ? new CheckpointIndex(path, shardOfTensor)
            : throw new BambaFormatException(path, "weight_map: expected tensors, found none");
    }

    /// <summary>Opens every shard.</summary>
    /// <exception cref="BambaFormatException">A shard is missing or damaged, or holds other tensors than the index says.</exception>
    public ImmutableArray<SafetensorsFile> OpenShards()
    {
        var files = new Dictionary<string, SafetensorsFile>();
        try
        {
            foreach (string shard in shardOfTensor.Values.Distinct().Order(StringComparer.Ordinal))
            {
                files.Add(shard, OpenShard(shard));
            }
            RequireAgreement(files);
            return [.. files.Values];
        }
        catch
        {
            foreach (SafetensorsFile file in files.Values)
            {
                file.Dispose();
            }
            throw;
        }
    }

    private SafetensorsFile OpenShard(string shard)
    {
        string shardPath = Path.Combine(Path.GetDirectoryName(path)!, shard);
        return File.Exists(shardPath)
            ? SafetensorsFile.Open(shardPath)
            : throw new BambaFormatException(path, $"names the shard {shard}, which the folder lacks");
    }

    private void RequireAgreement(Dictionary<string, SafetensorsFile> files)
    {
        foreach ((string tensor, string shard) in shardOfTensor)
        {
            if (!files[shard].Tensors.ContainsKey(tensor))
            {
                throw new BambaFormatException(path, $"tensor {tensor}: expected in {shard}, which lacks it");
            }
        }
        foreach ((string shard, SafetensorsFile file) in files)
        {
            foreach (string tensor in file.Tensors.Keys)
            {
                string? listed = shardOfTensor.GetValueOrDefault(tensor);
                if (listed != shard)
                {
                    throw new BambaFormatException(
                        path,
                        listed is null
                            ? $"tensor {tensor}: found in {shard}, which the index does not say"
                            : $"tensor {tensor}: expected in {listed} alone, found in {shard} too"
                    );
                }
            }
        }
    }

    /// <summary>Whether a name stays in its folder on every system: no separator, no drive, not a parent.</summary>
    private static bool IsPlainFileName(string name) =>
        name.EndsWith(".safetensors", StringComparison.Ordinal) && name.AsSpan().IndexOfAny(['/', '\\', ':', '\0']) < 0;

    private static byte[] ReadAllBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BambaFormatException(path, $"cannot be read: {e.Message}", e);
        }
    }
}
