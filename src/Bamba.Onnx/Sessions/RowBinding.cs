using Bamba.Onnx.Contract;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// Consecutive rows of a session bound to the graph: their caches in place, their lengths, and tokens and logits for the
/// length of a call. Bound once; only a call of another length binds tokens and logits again.
/// </summary>
internal sealed class RowBinding : IDisposable
{
    private readonly CallBuffers buffers;
    private readonly OrtIoBinding binding;
    private readonly List<OrtValue> fixedValues = [];
    private readonly List<(string Name, OrtValue Value)> inputs = [];
    private readonly int firstRow;
    private readonly int rows;
    private OrtValue? tokens;
    private OrtValue? logits;
    private int boundLength;

    public RowBinding(InferenceSession graph, StateBuffers states, CallBuffers buffers, int firstRow, int rows)
    {
        this.buffers = buffers;
        this.firstRow = firstRow;
        this.rows = rows;
        binding = graph.CreateIoBinding();
        for (int i = 0; i < states.Layout.Caches.Length; i++)
        {
            OrtValue state = Keep(states.Rows(i, firstRow, rows));
            CacheSpec cache = states.Layout.Caches[i].Spec;
            BindInput(cache.Past.Name, state);
            binding.BindOutput(cache.Present.Name, state);
        }
        BindInput(TensorNames.PastLens, Keep(buffers.PastLens.View(firstRow, rows)));
        BindInput(TensorNames.SeqLens, Keep(buffers.SeqLens.View(firstRow, rows)));
    }

    /// <summary>The binding for a call of <paramref name="length"/> tokens a row, which lie at the front of the token buffer.</summary>
    public OrtIoBinding For(int length)
    {
        if (length != boundLength)
        {
            tokens?.Dispose();
            logits?.Dispose();
            tokens = buffers.Tokens.View(0, rows, length);
            binding.BindInput(TensorNames.InputIds, tokens);
            logits = buffers.Logits.View(firstRow, rows, length);
            binding.BindOutput(TensorNames.Logits, logits);
            boundLength = length;
        }
        return binding;
    }

    /// <summary>
    /// Binds the inputs again. An input on a device whose first reader runs on the processor was copied there when it was bound,
    /// and what was written to it since would not be seen.
    /// </summary>
    public void BindInputsAgain()
    {
        foreach ((string name, OrtValue value) in inputs)
        {
            binding.BindInput(name, value);
        }
        if (tokens is not null)
        {
            binding.BindInput(TensorNames.InputIds, tokens);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        binding.Dispose();
        tokens?.Dispose();
        logits?.Dispose();
        fixedValues.ForEach(value => value.Dispose());
    }

    private void BindInput(string name, OrtValue value)
    {
        binding.BindInput(name, value);
        inputs.Add((name, value));
    }

    private OrtValue Keep(OrtValue value)
    {
        fixedValues.Add(value);
        return value;
    }
}
