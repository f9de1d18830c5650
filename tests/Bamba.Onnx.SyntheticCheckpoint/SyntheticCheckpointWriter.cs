using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.SyntheticCheckpoint;

/// <summary>Writes random Bamba checkpoints as Hugging Face's <c>save_pretrained</c> lays them out, in bounded memory.</summary>
public static class SyntheticCheckpointWriter
{
    /// <summary>Writes config.json and the weights into a folder, which is created.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="configJson">UTF-8 text of the config.json that gives the model's shape.</param>
    /// <param name="options">Size, element type and seed.</param>
    /// <exception cref="BambaFormatException">The configuration is not valid.</exception>
    /// <exception cref="ArgumentException">The element type is not floating point, or no model of the kind is so small.</exception>
    /// <exception cref="IOException">The folder cannot be written, or the disk has no room.</exception>
    public static SyntheticCheckpointSummary Write(
        string folder,
        byte[] configJson,
        SyntheticCheckpointOptions? options = null
    )
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(configJson);
        options ??= new SyntheticCheckpointOptions();
        byte[] resized = SyntheticConfig.Resize(configJson, options.Bytes, options.Dtype);
        BambaConfig config = BambaConfig.Parse(resized, ModelFiles.Config);
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, ModelFiles.Config), resized);

        var values = new SyntheticValues(config, options.Dtype, options.Seed);
        IReadOnlyDictionary<string, ImmutableArray<long>> tensors = BambaTensors.Of(config);
        List<List<string>> shards = Shards(tensors, options);
        for (int i = 0; i < shards.Count; i++)
        {
            using SafetensorsWriter writer = SafetensorsWriter.Create(
                Path.Combine(folder, ShardName(i, shards.Count)),
                shards[i].Select(name => (name, options.Dtype, tensors[name]))
            );
            foreach (SafetensorsTensor tensor in writer.Tensors)
            {
                values.Write(writer, tensor);
            }
        }
        long bytes = SyntheticConfig.BytesOf(config, options.Dtype);
        if (shards.Count > 1)
        {
            File.WriteAllBytes(Path.Combine(folder, ModelFiles.CheckpointIndex), Index(shards, bytes));
        }
        return new SyntheticCheckpointSummary(bytes, tensors.Count, shards.Count);
    }

    private static List<List<string>> Shards(
        IReadOnlyDictionary<string, ImmutableArray<long>> tensors,
        SyntheticCheckpointOptions options
    )
    {
        List<List<string>> shards =
        [
            [],
        ];
        long shardBytes = 0;
        foreach ((string name, ImmutableArray<long> shape) in tensors)
        {
            long bytes = shape.Aggregate((long)options.Dtype.SizeInBytes(), (product, size) => product * size);
            if (shardBytes > 0 && shardBytes + bytes > options.MaxShardBytes)
            {
                shards.Add([]);
                shardBytes = 0;
            }
            shards[^1].Add(name);
            shardBytes += bytes;
        }
        return shards;
    }

    private static string ShardName(int index, int count) =>
        count == 1
            ? ModelFiles.Checkpoint
            : string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");

    private static byte[] Index(List<List<string>> shards, long bytes)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata");
            json.WriteNumber("total_size", bytes);
            json.WriteEndObject();
            json.WriteStartObject("weight_map");
            for (int i = 0; i < shards.Count; i++)
            {
                foreach (string name in shards[i])
                {
                    json.WriteString(name, ShardName(i, shards.Count));
                }
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return stream.ToArray();
    }
}
