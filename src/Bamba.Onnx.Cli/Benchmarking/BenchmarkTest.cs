using System.Globalization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>Which half of the work a test measures.</summary>
internal enum BenchmarkKind
{
    /// <summary>A prompt taken in whole.</summary>
    Prefill,

    /// <summary>Tokens taken one at a time.</summary>
    Decode,
}

/// <summary>One thing to measure.</summary>
/// <param name="Kind">Prefill or decode.</param>
/// <param name="Tokens">Tokens that each row takes while the clock runs.</param>
/// <param name="Batch">Rows.</param>
/// <param name="Depth">Tokens that each row has taken before.</param>
internal sealed record BenchmarkTest(BenchmarkKind Kind, int Tokens, int Batch, int Depth)
{
    /// <summary>The name that llama-bench gives it: <c>pp512</c>, <c>tg128 @ d1024</c>.</summary>
    public string Name =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{(Kind == BenchmarkKind.Prefill ? "pp" : "tg")}{Tokens}{(Depth == 0 ? "" : $" @ d{Depth}")}"
        );

    /// <summary>Tokens of a row when the test ends.</summary>
    public long LastLength => (long)Depth + Tokens;

    /// <summary>Every combination, prompts before generations; a length of 0 leaves its kind out.</summary>
    /// <exception cref="ArgumentException">Nothing is left to measure.</exception>
    public static IReadOnlyList<BenchmarkTest> Combine(
        IReadOnlyList<int> prompts,
        IReadOnlyList<int> generations,
        IReadOnlyList<int> batches,
        IReadOnlyList<int> depths
    )
    {
        (BenchmarkKind Kind, int Tokens)[] measured =
        [
            .. prompts.Where(tokens => tokens > 0).Select(tokens => (BenchmarkKind.Prefill, tokens)),
            .. generations.Where(tokens => tokens > 0).Select(tokens => (BenchmarkKind.Decode, tokens)),
        ];
        if (measured.Length == 0)
        {
            throw new ArgumentException(
                "expected something to measure, found --n-prompt 0 and --n-gen 0, which leave out both kinds"
            );
        }
        return
        [
            .. from batch in batches
            from depth in depths
            from one in measured
            select new BenchmarkTest(one.Kind, one.Tokens, batch, depth),
        ];
    }

    /// <summary>Refuses a list with a test that the model cannot take, before any of it has cost time.</summary>
    /// <exception cref="BambaException">A test needs more tokens than a sequence may have.</exception>
    public static void RequireRoom(IEnumerable<BenchmarkTest> tests, int contextLength)
    {
        foreach (BenchmarkTest test in tests)
        {
            if (test.LastLength > contextLength)
            {
                throw new BambaException(
                    $"test {test.Name}: expected at most {contextLength} tokens in a sequence, the model's context, "
                        + $"found {test.LastLength}; nothing was run"
                );
            }
        }
    }
}
