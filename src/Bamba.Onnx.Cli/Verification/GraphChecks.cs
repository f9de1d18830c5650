using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>The comparisons of one graph with the expected values of a case.</summary>
internal sealed class GraphChecks(
    InferenceSession graph,
    GraphSignature signature,
    GraphProfile profile,
    ElementType dtype,
    SafetensorsValues expected,
    CancellationToken cancellationToken
)
{
    private readonly string prefix = profile.ToString().ToLowerInvariant();

    /// <summary>What values may differ by. Float32 is held to the reference; 16-bit types to what their rounding explains.</summary>
    private readonly double limit = dtype switch
    {
        ElementType.Float32 => 1e-4,
        ElementType.Float16 => 0.05,
        _ => 0.5,
    };

    /// <summary>Every comparison that the case has data for.</summary>
    public IEnumerable<VerificationCheck> All() =>
        [
            .. Full(),
            .. Prompts("greedy_").SelectMany(Greedy),
            .. Prompts("").Where(name => char.IsAsciiDigit(name[0])).SelectMany(Greedy),
            .. Padded(),
            .. Continued(),
            .. ContinuedTogether(),
            .. InPlace(),
        ];

    private IEnumerable<string> Prompts(string start) =>
        expected
            .Names.Where(name =>
                name.StartsWith(start, StringComparison.Ordinal) && name.EndsWith(".tokens", StringComparison.Ordinal)
            )
            .Select(name => name[..name.IndexOf('.', StringComparison.Ordinal)])
            .Where(name => expected.Contains($"{name}.input_ids") && name != "padded")
            .Where(name => start.Length > 0 || !name.StartsWith("greedy_", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);

    private IEnumerable<VerificationCheck> Full()
    {
        if (!expected.Contains("full.input_ids"))
        {
            yield break;
        }
        var batch = PaddedBatch.Dense(expected.Rows("full.input_ids"));
        using GraphConversation conversation = Open(batch.Rows, batch.Width, inPlace: false);
        conversation.Step(batch);
        float[] logits = expected.Floats("full.logits");
        if (conversation.LogitsOfEveryPosition)
        {
            yield return Compare("full.logits", logits, conversation.Result(TensorNames.Logits));
        }
        else
        {
            int vocab = logits.Length / (batch.Rows * batch.Width);
            double difference = Enumerable
                .Range(0, batch.Rows)
                .Max(row =>
                    Difference.Max(
                        logits.AsSpan((((row + 1) * batch.Width) - 1) * vocab, vocab),
                        conversation.LastLogits(row)
                    )
                );
            yield return Check("full.last_logits", difference);
        }
        foreach (TensorSpec hidden in signature.Results.Skip(1))
        {
            yield return Compare(
                $"full.{hidden.Name}",
                expected.Floats($"full.{hidden.Name}"),
                conversation.Result(hidden.Name)
            );
        }
    }

    private IEnumerable<VerificationCheck> Greedy(string name)
    {
        var prompt = PaddedBatch.Dense(expected.Rows($"{name}.input_ids"));
        long[][] tokens = expected.Rows($"{name}.tokens");
        using GraphConversation conversation = Open(prompt.Rows, prompt.Width + tokens[0].Length, inPlace: true);
        conversation.Step(prompt);
        List<VerificationCheck> states = [.. States(name, conversation, prompt.Width)];
        (double difference, int wrong) = Continue(conversation, tokens, expected.Floats($"{name}.step_logits"));
        return [.. states, Check($"{name}.logits", difference), Tokens($"{name}.tokens", wrong)];
    }

    /// <summary>The caches after a prompt.</summary>
    private IEnumerable<VerificationCheck> States(string name, GraphConversation conversation, int length)
    {
        foreach (CacheSpec cache in signature.Caches)
        {
            string key = $"{name}.after_prompt.{cache.Layer}.{ReferenceName(cache.Kind)}";
            if (!expected.Contains(key))
            {
                continue;
            }
            (float[] values, long[] shape) = conversation.Cache(cache);
            float[] reference = expected.Floats(key);
            (float[] wanted, float[] found) = cache.Kind switch
            {
                // The reference keeps one column more, the oldest, which no later token sees.
                CacheKind.ConvState => (Columns(reference, (int)shape[2] + 1, 1, (int)shape[2]), values),
                CacheKind.RecurrentState => (reference, values),
                _ => (reference, Tokens(values, shape, length)),
            };
            yield return Compare($"{name}.{cache.Present.Name}", wanted, found);
        }
    }

    private IEnumerable<VerificationCheck> Padded()
    {
        if (!expected.Contains("padded.input_ids"))
        {
            yield break;
        }
        long[][] rows = PaddedRows();
        foreach ((string form, PaddedBatch batch) in Forms(rows))
        {
            long[][] tokens = expected.Rows("padded.tokens");
            using GraphConversation conversation = Open(batch.Rows, batch.Width + tokens[0].Length, inPlace: true);
            conversation.Step(batch);
            (double difference, int wrong) = Continue(conversation, tokens, expected.Floats("padded.step_logits"));
            yield return Check($"padded_{form}.logits", difference);
            yield return Tokens($"padded_{form}.tokens", wrong);
        }
    }

    /// <summary>The paddings that a graph can be given; lengths know one only.</summary>
    private IEnumerable<(string Form, PaddedBatch Batch)> Forms(long[][] rows) =>
        profile == GraphProfile.Runtime
            ? [("rows", PaddedBatch.Right(rows))]
            :
            [
                ("left", PaddedBatch.Left(rows)),
                ("right", PaddedBatch.Right(rows)),
                ("holes", PaddedBatch.Holes(rows)),
            ];

    /// <summary>A prompt fed in two calls, cut at every place, against the prompt in one.</summary>
    private IEnumerable<VerificationCheck> Continued()
    {
        string? name =
            Prompts("greedy_").FirstOrDefault(prompt => prompt == "greedy_long") ?? Prompts("").FirstOrDefault();
        if (name is null)
        {
            yield break;
        }
        long[][] rows = expected.Rows($"{name}.input_ids");
        float[] logits = expected.Floats($"{name}.step_logits");
        int vocab = (int)expected.Shape($"{name}.step_logits")[^1];
        double worst = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            ReadOnlyMemory<float> wanted = logits.AsMemory(row * (logits.Length / rows.Length), vocab);
            for (int cut = 1; cut < rows[row].Length; cut++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using GraphConversation conversation = Open(1, rows[row].Length, inPlace: true);
                conversation.Step(PaddedBatch.Dense(rows[row][..cut]));
                conversation.Step(PaddedBatch.Dense(rows[row][cut..]));
                worst = Difference.Larger(worst, Difference.Max(wanted.Span, conversation.LastLogits(0)));
            }
        }
        yield return Check($"{name}.continued.logits", worst);
    }

    /// <summary>Rows of a batch that each continue with several tokens at once.</summary>
    private IEnumerable<VerificationCheck> ContinuedTogether()
    {
        const string Name = "padded.continued.logits";
        if (!expected.Contains("padded.input_ids"))
        {
            yield break;
        }
        if (signature.Caches.Any(cache => cache.Kind == CacheKind.Key))
        {
            yield return VerificationCheck.Skip(
                $"{prefix}.{Name}",
                "GroupQueryAttention takes several tokens on a filled cache one row at a time"
            );
            yield break;
        }
        long[][] rows = PaddedRows();
        using GraphConversation conversation = Open(rows.Length, rows.Max(row => row.Length), inPlace: true);
        conversation.Step(PaddedBatch.Left([.. rows.Select(row => row[..(row.Length / 2)])]));
        conversation.Step(PaddedBatch.Left([.. rows.Select(row => row[(row.Length / 2)..])]));
        float[] logits = expected.Floats("padded.step_logits");
        int vocab = (int)expected.Shape("padded.step_logits")[^1];
        double worst = 0;
        for (int row = 0; row < rows.Length; row++)
        {
            ReadOnlySpan<float> wanted = logits.AsSpan(row * (logits.Length / rows.Length), vocab);
            worst = Difference.Larger(worst, Difference.Max(wanted, conversation.LastLogits(row)));
        }
        yield return Check(Name, worst);
    }

    /// <summary>The real tokens of the padded batch.</summary>
    private long[][] PaddedRows()
    {
        bool[][] real = Array.ConvertAll(
            expected.Rows("padded.attention_mask"),
            row => Array.ConvertAll(row, value => value != 0)
        );
        return new PaddedBatch(expected.Rows("padded.input_ids"), real).RealTokens();
    }

    /// <summary>States updated in place against states in two buffers, bit for bit.</summary>
    private IEnumerable<VerificationCheck> InPlace()
    {
        string? name = Prompts("greedy_").Concat(Prompts("")).FirstOrDefault();
        if (name is null)
        {
            yield break;
        }
        var prompt = PaddedBatch.Dense(expected.Rows($"{name}.input_ids"));
        long[][] tokens = expected.Rows($"{name}.tokens");
        using GraphConversation apart = Open(prompt.Rows, prompt.Width + tokens[0].Length, inPlace: false);
        using GraphConversation inPlace = Open(prompt.Rows, prompt.Width + tokens[0].Length, inPlace: true);
        double worst = 0;
        for (int step = 0; step < tokens[0].Length; step++)
        {
            PaddedBatch next =
                step == 0 ? prompt : PaddedBatch.Dense([.. tokens.Select(row => new[] { row[step - 1] })]);
            apart.Step(next);
            inPlace.Step(next);
            for (int row = 0; row < prompt.Rows; row++)
            {
                worst = Difference.Larger(worst, Difference.Max(apart.LastLogits(row), inPlace.LastLogits(row)));
            }
        }
        yield return VerificationCheck.Of($"{prefix}.{name}.in_place.logits", worst, 0);
    }

    /// <summary>Feeds the expected tokens one by one and compares the scores and the likeliest token of every step.</summary>
    private (double Difference, int Wrong) Continue(GraphConversation conversation, long[][] tokens, float[] stepLogits)
    {
        int steps = tokens[0].Length;
        int vocab = stepLogits.Length / (tokens.Length * steps);
        double worst = 0;
        int wrong = 0;
        for (int step = 0; step < steps; step++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (int row = 0; row < tokens.Length; row++)
            {
                ReadOnlySpan<float> wanted = stepLogits.AsSpan(((row * steps) + step) * vocab, vocab);
                float[] found = conversation.LastLogits(row);
                worst = Difference.Larger(worst, Difference.Max(wanted, found));
                if (
                    Array.IndexOf(found, found.Max()) != tokens[row][step]
                    && (dtype == ElementType.Float32 || IsClear(wanted))
                )
                {
                    wrong++;
                }
            }
            if (step + 1 < steps)
            {
                conversation.Step(PaddedBatch.Dense([.. tokens.Select(row => new[] { row[step] })]));
            }
        }
        return (worst, wrong);
    }

    /// <summary>Whether the two best scores are further apart than rounding can move them.</summary>
    private bool IsClear(ReadOnlySpan<float> logits)
    {
        float[] sorted = logits.ToArray();
        Array.Sort(sorted);
        return sorted[^1] - sorted[^2] > 2 * limit;
    }

    private GraphConversation Open(int batch, int capacity, bool inPlace) =>
        GraphConversation.Open(graph, signature, profile, batch, capacity, inPlace);

    private VerificationCheck Compare(string name, float[] wanted, float[] found) =>
        Check(name, Difference.Max(wanted, found));

    private VerificationCheck Check(string name, double difference) =>
        VerificationCheck.Of($"{prefix}.{name}", difference, limit);

    private VerificationCheck Tokens(string name, int wrong) => VerificationCheck.Of($"{prefix}.{name}", wrong, 0);

    private static string ReferenceName(CacheKind kind) =>
        kind switch
        {
            CacheKind.ConvState => "conv_states",
            CacheKind.RecurrentState => "recurrent_states",
            CacheKind.Key => "keys",
            CacheKind.Value => "values",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
        };

    /// <summary>Some columns of a matrix [*, columns].</summary>
    private static float[] Columns(float[] values, int columns, int start, int count) =>
        [.. values.Where((_, i) => i % columns >= start && i % columns < start + count)];

    /// <summary>The first tokens of a key or value cache [batch, heads, tokens, head_dim].</summary>
    private static float[] Tokens(float[] values, long[] shape, int length) =>
        Columns(values, (int)(shape[2] * shape[3]), 0, (int)(length * shape[3]));
}
