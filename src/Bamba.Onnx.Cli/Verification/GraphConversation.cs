using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>
/// A batch of sequences on one graph, driven straight through ONNX Runtime, without the runtime library: so a verification
/// checks the file and not ourselves.
/// </summary>
internal abstract class GraphConversation : IDisposable
{
    private readonly InferenceSession graph;
    private readonly GraphSignature signature;
    private readonly bool inPlace;
    private readonly OrtValue[] pasts;
    private Dictionary<string, OrtValue> results = [];

    /// <param name="graph">The graph.</param>
    /// <param name="signature">Its inputs and outputs.</param>
    /// <param name="batch">Rows.</param>
    /// <param name="capacity">Tokens that key and value buffers hold; 0 for caches that grow.</param>
    /// <param name="inPlace">Whether past and present are one buffer, where their shapes allow.</param>
    protected GraphConversation(InferenceSession graph, GraphSignature signature, int batch, int capacity, bool inPlace)
    {
        this.graph = graph;
        this.signature = signature;
        this.inPlace = inPlace;
        Batch = batch;
        pasts = [.. signature.Caches.Select(cache => Zeros(cache.Past, capacity))];
    }

    protected int Batch { get; }

    /// <summary>Whether every position has logits.</summary>
    public bool LogitsOfEveryPosition => signature.Results[0].Axes[1].Symbol is not null;

    public static GraphConversation Open(
        InferenceSession graph,
        GraphSignature signature,
        GraphProfile profile,
        int batch,
        int capacity,
        bool inPlace
    ) =>
        profile == GraphProfile.Runtime
            ? new LengthConversation(graph, signature, batch, capacity, inPlace)
            : new MaskConversation(graph, signature, batch, inPlace);

    /// <summary>Feeds a batch.</summary>
    public void Step(PaddedBatch batch)
    {
        using OrtIoBinding binding = graph.CreateIoBinding();
        List<OrtValue> temporary = BindFront(binding, batch);
        var outputs = new List<string>();
        foreach (TensorSpec result in signature.Results)
        {
            binding.BindOutputToDevice(result.Name, OrtMemoryInfo.DefaultInstance);
            outputs.Add(result.Name);
        }
        for (int i = 0; i < pasts.Length; i++)
        {
            CacheSpec cache = signature.Caches[i];
            binding.BindInput(cache.Past.Name, pasts[i]);
            if (inPlace && cache.Past.Axes.SequenceEqual(cache.Present.Axes))
            {
                binding.BindOutput(cache.Present.Name, pasts[i]);
            }
            else
            {
                binding.BindOutputToDevice(cache.Present.Name, OrtMemoryInfo.DefaultInstance);
            }
            outputs.Add(cache.Present.Name);
        }
        using var runOptions = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> values = graph.RunWithBoundResults(runOptions, binding);
        Take(outputs.ToArray(), values);
        temporary.ForEach(value => value.Dispose());
    }

    /// <summary>The logits of a row's last real token of the last step.</summary>
    public abstract float[] LastLogits(int row);

    /// <summary>The logits at a position of a row of the last step, or of its only one; they stay until the next step.</summary>
    public ReadOnlySpan<float> LogitsAt(int row, int position)
    {
        OrtValue logits = results[TensorNames.Logits];
        long[] shape = logits.GetTensorTypeAndShape().Shape;
        int vocab = (int)shape[2];
        int index = (int)((row * shape[1]) + (LogitsOfEveryPosition ? position : 0));
        return logits.GetTensorDataAsSpan<float>().Slice(index * vocab, vocab);
    }

    /// <summary>A result of the last step as float32.</summary>
    public float[] Result(string name) => Floats(results[name]);

    /// <summary>A cache as float32 with its shape.</summary>
    public (float[] Values, long[] Shape) Cache(CacheSpec cache)
    {
        OrtValue value = pasts[signature.Caches.IndexOf(cache)];
        return (Floats(value), value.GetTensorTypeAndShape().Shape);
    }

    public void Dispose()
    {
        foreach (OrtValue value in results.Values.Concat(pasts))
        {
            value.Dispose();
        }
    }

    /// <summary>Binds tokens and lengths; the caller disposes the values after the run.</summary>
    protected abstract List<OrtValue> BindFront(OrtIoBinding binding, PaddedBatch batch);

    private void Take(string[] names, IReadOnlyList<OrtValue> values)
    {
        var taken = new Dictionary<string, OrtValue>();
        for (int i = 0; i < names.Length; i++)
        {
            int cache = signature.Caches.ToList().FindIndex(spec => spec.Present.Name == names[i]);
            OrtValue copy = Copy(values[i]);
            if (cache < 0)
            {
                taken[names[i]] = copy;
            }
            else
            {
                pasts[cache].Dispose();
                pasts[cache] = copy;
            }
        }
        foreach (OrtValue old in results.Values)
        {
            old.Dispose();
        }
        results = taken;
    }

    private static OrtValue Copy(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        OrtValue copy = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance,
            info.ElementDataType,
            info.Shape
        );
        value.GetTensorMutableRawData().CopyTo(copy.GetTensorMutableRawData());
        return copy;
    }

    private OrtValue Zeros(TensorSpec spec, int capacity)
    {
        long[] shape =
        [
            .. spec.Axes.Select(axis =>
                axis.Symbol switch
                {
                    null => axis.Size,
                    AxisNames.Batch => Batch,
                    _ => capacity,
                }
            ),
        ];
        TensorElementType type = spec.Type switch
        {
            ElementType.Float16 => TensorElementType.Float16,
            ElementType.BFloat16 => TensorElementType.BFloat16,
            _ => TensorElementType.Float,
        };
        OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
        value.GetTensorMutableRawData().Clear();
        return value;
    }

    private static float[] Floats(OrtValue value) =>
        value.GetTensorTypeAndShape().ElementDataType switch
        {
            TensorElementType.Float16 => Array.ConvertAll(
                value.GetTensorDataAsSpan<Float16>().ToArray(),
                half => (float)half
            ),
            TensorElementType.BFloat16 => Array.ConvertAll(
                value.GetTensorDataAsSpan<BFloat16>().ToArray(),
                half => (float)half
            ),
            _ => value.GetTensorDataAsSpan<float>().ToArray(),
        };
}
