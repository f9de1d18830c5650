using System.Collections.Frozen;
using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>A tensor of a checkpoint.</summary>
/// <param name="Name">Its canonical name, that of <see cref="BambaTensors"/> for a parameter.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes, outermost first.</param>
/// <param name="Bytes">Its size, row-major without gaps.</param>
/// <param name="File">The file that holds it.</param>
public sealed record CheckpointTensor(
    string Name,
    ElementType Type,
    ImmutableArray<long> Shape,
    long Bytes,
    string File
);

/// <summary>
/// A Hugging Face checkpoint folder: the configuration, and the tensors of <c>model.safetensors</c> or of the shards that
/// <c>model.safetensors.index.json</c> names. Headers are read and checked when it is opened; values only on demand. Files of
/// the bare <c>BambaModel</c>, whose names lack <c>model.</c>, show the canonical names too. Reading is safe from several threads.
/// </summary>
public sealed class CheckpointFolder : IDisposable
{
    private readonly ImmutableArray<SafetensorsFile> files;
    private readonly FrozenDictionary<string, (SafetensorsFile File, SafetensorsTensor Tensor)> sources;

    private CheckpointFolder(string path, BambaConfig config, ImmutableArray<SafetensorsFile> files)
    {
        Path = path;
        Config = config;
        this.files = files;
        (SafetensorsFile File, SafetensorsTensor Tensor)[] all =
        [
            .. files.SelectMany(file => file.Tensors.Values.Select(tensor => (file, tensor))),
        ];
        bool isBaseModel = !all.Any(source =>
            source.Tensor.Name.StartsWith(BambaTensors.Prefix, StringComparison.Ordinal)
        );
        sources = all.ToFrozenDictionary(source => CanonicalName(source.Tensor.Name, isBaseModel));
        Tensors = sources.ToFrozenDictionary(
            source => source.Key,
            source => new CheckpointTensor(
                source.Key,
                source.Value.Tensor.Type,
                source.Value.Tensor.Shape,
                source.Value.Tensor.Bytes,
                source.Value.File.Path
            )
        );
    }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The file that <see cref="Config"/> came from.</summary>
    public string ConfigPath => System.IO.Path.Combine(Path, ModelFiles.Config);

    /// <summary>The architecture.</summary>
    public BambaConfig Config { get; }

    /// <summary>Every tensor of the files by canonical name, also those that a model has no use for.</summary>
    public IReadOnlyDictionary<string, CheckpointTensor> Tensors { get; }

    /// <summary>Opens a folder and checks its configuration, its index and the headers of its files.</summary>
    /// <exception cref="BambaFormatException">Something is missing, unreadable, damaged or contradicts something else.</exception>
    public static CheckpointFolder Open(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder))
        {
            throw new BambaFormatException(folder, "no such folder");
        }
        BambaConfig config = BambaConfig.Load(System.IO.Path.Combine(folder, ModelFiles.Config));
        return new CheckpointFolder(folder, config, OpenFiles(folder));
    }

    /// <summary>Fills <paramref name="destination"/> with a tensor's bytes from <paramref name="byteOffset"/> on.</summary>
    /// <param name="name">A key of <see cref="Tensors"/>.</param>
    /// <param name="byteOffset">Where to start, from the tensor's first byte.</param>
    /// <param name="destination">What to fill.</param>
    /// <exception cref="ArgumentException">The checkpoint has no such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The range ends past the tensor.</exception>
    /// <exception cref="BambaFormatException">The file became shorter or unreadable since it was opened.</exception>
    public void Read(string name, long byteOffset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!sources.TryGetValue(name, out var source))
        {
            throw new ArgumentException($"{Path} has no tensor {name}", nameof(name));
        }
        source.File.Read(source.Tensor, byteOffset, destination);
    }

    /// <summary>
    /// Checks that the checkpoint has exactly the tensors that a model needs: floating point, of the given shapes. The head
    /// of a tied model may be there or not, and buffers that loaders compute anew are passed over.
    /// </summary>
    /// <param name="expected">The shape of each parameter by canonical name, such as <see cref="BambaTensors.Of"/> gives.</param>
    /// <exception cref="BambaFormatException">Tensors are missing, unknown, of a wrong shape or not floating point; the message counts all of them.</exception>
    public void RequireTensors(IReadOnlyDictionary<string, ImmutableArray<long>> expected)
    {
        ArgumentNullException.ThrowIfNull(expected);
        if (TensorRequirements.Problem(Tensors, expected, Config.TieWordEmbeddings) is { } problem)
        {
            throw new BambaFormatException(Path, problem);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile file in files)
        {
            file.Dispose();
        }
    }

    private static ImmutableArray<SafetensorsFile> OpenFiles(string folder)
    {
        // One file goes before an index, as in Hugging Face's loader.
        string single = System.IO.Path.Combine(folder, ModelFiles.Checkpoint);
        if (File.Exists(single))
        {
            return [SafetensorsFile.Open(single)];
        }
        string index = System.IO.Path.Combine(folder, ModelFiles.CheckpointIndex);
        return File.Exists(index) ? CheckpointIndex.Load(index).OpenShards() : throw NoWeights(folder);
    }

    private static BambaFormatException NoWeights(string folder)
    {
        string wanted = $"expected {ModelFiles.Checkpoint} or {ModelFiles.CheckpointIndex}";
        string? pickle = ((string[])["*.bin", "*.pt", "*.pth"])
            .SelectMany(pattern => Directory.EnumerateFiles(folder, pattern))
            .Select(System.IO.Path.GetFileName)
            .Order(StringComparer.Ordinal)
            .FirstOrDefault();
        return new BambaFormatException(
            folder,
            pickle is null
                ? $"{wanted}, found neither"
                : $"{wanted}, found only pickled weights ({pickle}), which can run code when they are loaded; "
                    + "convert the checkpoint to safetensors first (save_pretrained of transformers does)"
        );
    }

    private static string CanonicalName(string name, bool isBaseModel) =>
        isBaseModel && name != BambaTensors.LmHead ? BambaTensors.Prefix + name : name;
}
