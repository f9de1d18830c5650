using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Fills modules from a checkpoint, a slab at a time.</summary>
internal static class ParameterLoader
{
    private const long SlabElements = 1 << 24;

    /// <summary>Fills every parameter of the model.</summary>
    /// <exception cref="BambaFormatException">A tensor is missing, unknown, or of a wrong shape or type.</exception>
    public static void Load(BambaForCausalLM model, SafetensorsFile file)
    {
        ArgumentNullException.ThrowIfNull(file);
        var parameters = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (string name in file.Tensors.Keys)
        {
            if (!parameters.ContainsKey(name) && !IsRedundant(model, name))
            {
                throw new BambaFormatException(file.Path, $"tensor {name}: the model of this configuration has none");
            }
        }
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in parameters)
        {
            if (!file.Tensors.TryGetValue(name, out SafetensorsTensor? tensor))
            {
                throw new BambaFormatException(file.Path, $"tensor {name}: expected by the configuration, not found");
            }
            if (!tensor.Shape.AsSpan().SequenceEqual(parameter.shape))
            {
                throw new BambaFormatException(
                    file.Path,
                    $"tensor {name}: expected {InputChecks.Shape(parameter)}, found [{string.Join(", ", tensor.Shape)}]"
                );
            }
            Copy(file, tensor, parameter);
        }
    }

    /// <summary>Fills the parameters of a part of a model.</summary>
    /// <param name="module">The part.</param>
    /// <param name="path">Where it is in the checkpoint.</param>
    /// <param name="checkpoint">A checkpoint whose tensors suit its configuration.</param>
    public static void Load(nn.Module module, string path, CheckpointFolder checkpoint)
    {
        using IDisposable noGradients = no_grad();
        foreach ((string name, Parameter parameter) in module.named_parameters())
        {
            CheckpointTensor tensor = checkpoint.Tensors[$"{path}.{name}"];
            Copy(ScalarTypeOf(tensor.Type), parameter, (start, slab) => checkpoint.Read(tensor.Name, start, slab));
        }
    }

    /// <summary>TorchSharp's name of a floating point type.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is none.</exception>
    public static ScalarType ScalarTypeOf(ElementType type) =>
        type switch
        {
            ElementType.Float32 => ScalarType.Float32,
            ElementType.Float16 => ScalarType.Float16,
            ElementType.BFloat16 => ScalarType.BFloat16,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };

    /// <summary>What some writers store although it follows from the rest: a tied head, rotary frequencies.</summary>
    private static bool IsRedundant(BambaForCausalLM model, string name) =>
        (model.LmHead is null && name == "lm_head.weight")
        || name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal);

    private static void Copy(SafetensorsFile file, SafetensorsTensor tensor, Parameter parameter)
    {
        if (tensor.Type is not (ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
        {
            throw new BambaFormatException(
                file.Path,
                $"tensor {tensor.Name}: expected floating point, found {tensor.Type.ShortName()}"
            );
        }
        Copy(ScalarTypeOf(tensor.Type), parameter, (start, slab) => file.Read(tensor, start, slab));
    }

    /// <summary>Fills a parameter with elements of a type, which <paramref name="read"/> gives from a byte on.</summary>
    private static void Copy(ScalarType type, Parameter parameter, ReadBytes read)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor flat = parameter.view(-1);
        for (long start = 0; start < flat.shape[0]; start += SlabElements)
        {
            using DisposeScope slabScope = NewDisposeScope();
            Tensor slab = empty(Math.Min(SlabElements, flat.shape[0] - start), type);
            read(start * slab.element_size(), slab.bytes);
            flat.narrow(0, start, slab.shape[0]).copy_(slab);
        }
    }

    private delegate void ReadBytes(long byteOffset, Span<byte> destination);
}
