using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Generation;

/// <summary>Continues texts with a model.</summary>
public static class TextGenerator
{
    /// <summary>Continues a text, piece by piece as whole characters come out, until an end token, the count or the context's end.</summary>
    /// <param name="runtime">The model.</param>
    /// <param name="prompt">The text; special tokens written in it count as such.</param>
    /// <param name="options">What to ask; null for the model's defaults.</param>
    /// <param name="cancellationToken">Ends the generation between tokens.</param>
    /// <returns>The continuation without the prompt.</returns>
    /// <exception cref="ArgumentException">The prompt has no tokens.</exception>
    /// <exception cref="ContextLengthException">The prompt is longer than the model's context.</exception>
    public static async IAsyncEnumerable<string> GenerateAsync(
        this BambaRuntime runtime,
        string prompt,
        GenerationOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(runtime);
        ArgumentNullException.ThrowIfNull(prompt);
        options ??= new GenerationOptions();
        int[] ids = runtime.Tokenizer.Encode(prompt);
        List<int> tokens = [.. ids];
        int maxNewTokens =
            options.MaxNewTokens ?? runtime.Defaults.MaxNewTokens ?? GenerationOptions.DefaultMaxNewTokens;
        int capacity = (int)Math.Min(runtime.ContextLength, (long)ids.Length + maxNewTokens);

        using BambaSession session = runtime.CreateSession(contextLength: Math.Max(capacity, 1));
        var sampler = new TokenSampler(options.Sampling ?? runtime.Defaults.Sampling);
        StreamingTextDecoder text = runtime.Tokenizer.CreateStreamingDecoder();
        Logits logits = await Task.Run(() => session.Prefill(ids, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
        for (int step = 0; step < maxNewTokens; step++)
        {
            int token = sampler.Sample(logits.Row(0), CollectionsMarshal.AsSpan(tokens), ids.Length);
            tokens.Add(token);
            if (runtime.Defaults.EosTokenIds.Contains(token))
            {
                break;
            }
            if (text.Append(token).ToString() is { Length: > 0 } piece)
            {
                yield return piece;
            }
            if (step + 1 == maxNewTokens || session.Length(0) == session.ContextLength)
            {
                break;
            }
            cancellationToken.ThrowIfCancellationRequested();
            logits = session.Decode(token);
        }
        if (text.Flush().ToString() is { Length: > 0 } rest)
        {
            yield return rest;
        }
    }
}
