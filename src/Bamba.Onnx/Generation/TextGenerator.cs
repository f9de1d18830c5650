using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Diagnostics;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Generation;

/// <summary>Continues texts with a model: as text while it comes, token by token, or whole.</summary>
/// <remarks>
/// The enumerations work on the thread pool, never on the thread that enumerates where that is another. Cancellation ends the
/// prompt's run soon and otherwise takes effect between tokens, by <see cref="OperationCanceledException"/>. A seed gives a text
/// that does not depend on the rows beside it, and random choices depend on the seed and on the token's place in its row alone.
/// </remarks>
public static class TextGenerator
{
    /// <summary>Continues a text, piece by piece as whole characters come out.</summary>
    /// <param name="runtime">The model.</param>
    /// <param name="prompt">The text; special tokens written in it count as such.</param>
    /// <param name="options">What to ask; null for the model's defaults.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
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
        await foreach (
            GeneratedToken token in runtime
                .GenerateTokensAsync([prompt], options, cancellationToken)
                .ConfigureAwait(false)
        )
        {
            if (token.Text.Length > 0)
            {
                yield return token.Text;
            }
        }
    }

    /// <summary>Continues texts side by side, token by token: of each step the tokens of all rows that go on.</summary>
    /// <param name="runtime">The model.</param>
    /// <param name="prompts">The texts, a row each.</param>
    /// <param name="options">What to ask, for every row alike; null for the model's defaults. A seed serves every row, so that equal prompts get equal texts; without one each row draws its own.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
    /// <exception cref="ArgumentException">There are no prompts, or one has no tokens.</exception>
    /// <exception cref="ContextLengthException">A prompt is longer than the model's context.</exception>
    public static async IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(
        this BambaRuntime runtime,
        IReadOnlyList<string> prompts,
        GenerationOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(runtime);
        ArgumentNullException.ThrowIfNull(prompts);
        options ??= new GenerationOptions();
        ReadOnlyMemory<int>[] rows = Encode(runtime, prompts);
        using BambaSession session = OpenSession(runtime, rows, options);
        await foreach (
            GeneratedToken token in session
                .GenerateTokensAsync(rows, options, ahead: 1, cancellationToken)
                .ConfigureAwait(false)
        )
        {
            yield return token;
        }
    }

    /// <summary>Goes on from where a session stands, token by token.</summary>
    /// <param name="session">
    /// The session. It takes every generated token but each row's last, so that a caller who goes on begins with that one.
    /// </param>
    /// <param name="rows">Tokens to take first, for every row; or for none, where the session has scores to begin with.</param>
    /// <param name="options">What to ask, for every row alike; null for the model's defaults.</param>
    /// <param name="cancellationToken">Ends the generation; the session may go on.</param>
    /// <exception cref="ArgumentException">A row has no tokens though another has, or a token is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthException">A row would grow past the session's context.</exception>
    /// <exception cref="InvalidOperationException">There are no tokens and no scores, or the session is in use.</exception>
    public static IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(
        this BambaSession session,
        IReadOnlyList<ReadOnlyMemory<int>> rows,
        GenerationOptions? options = null,
        CancellationToken cancellationToken = default
    ) => session.GenerateTokensAsync(rows, options, ahead: 0, cancellationToken);

    /// <param name="session">The session.</param>
    /// <param name="rows">Tokens to take first.</param>
    /// <param name="options">What to ask.</param>
    /// <param name="ahead">
    /// Steps that a device may be ahead of what is read. With one it never waits for the reader; but a reader who ends early finds
    /// that the session took the last token too, so that only a session nobody sees again may be ahead.
    /// </param>
    /// <param name="cancellationToken">Ends the generation.</param>
    private static async IAsyncEnumerable<GeneratedToken> GenerateTokensAsync(
        this BambaSession session,
        IReadOnlyList<ReadOnlyMemory<int>> rows,
        GenerationOptions? options,
        int ahead,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(rows);
        options ??= new GenerationOptions();
        using Activity? activity = BambaTelemetry.StartGenerate(session.BatchSize);
        int given = rows.Sum(row => row.Length);
        if (given > 0)
        {
            RequireTokensInEveryRow(rows);
            await Task.Run(() => session.Prefill(rows, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        var stops = new StopStrings(options.StopStrings);
        RowGenerator[] generators =
        [
            .. Enumerable.Range(0, session.BatchSize).Select(row => new RowGenerator(session, row, options, stops)),
        ];
        var pool = new ThreadPoolSwitch();
        int[] next = new int[generators.Length];
        var chosen = new List<GeneratedToken>(generators.Length);
        int steps = 0;
        using SampledSteps? device = SampleOnDevice(session, generators);
        for (; !generators.All(generator => generator.IsFinished); steps++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await pool;
            if (device is not null)
            {
                Accept(generators, device, ahead, chosen);
            }
            else
            {
                if (steps > 0)
                {
                    session.Decode(next);
                }
                Choose(generators, next, chosen);
            }
            foreach (GeneratedToken token in chosen)
            {
                yield return token;
            }
        }
        session.Runtime.Logger.Generated(generators.Length, steps, given, generators.Sum(row => row.Count));
    }

    /// <summary>Continues a text and gives it whole.</summary>
    /// <inheritdoc cref="CompleteAsync(BambaRuntime, IReadOnlyList{string}, GenerationOptions?, CancellationToken)"/>
    /// <param name="runtime">The model.</param>
    /// <param name="prompt">The text; special tokens written in it count as such.</param>
    /// <param name="options">What to ask; null for the model's defaults.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
    public static async Task<GeneratedText> CompleteAsync(
        this BambaRuntime runtime,
        string prompt,
        GenerationOptions? options = null,
        CancellationToken cancellationToken = default
    ) => (await runtime.CompleteAsync([prompt], options, cancellationToken).ConfigureAwait(false))[0];

    /// <summary>Continues texts side by side and gives them whole.</summary>
    /// <param name="runtime">The model.</param>
    /// <param name="prompts">The texts, a row each.</param>
    /// <param name="options">What to ask, for every row alike; null for the model's defaults.</param>
    /// <param name="cancellationToken">Ends the generation.</param>
    /// <exception cref="ArgumentException">There are no prompts, or one has no tokens.</exception>
    /// <exception cref="ContextLengthException">A prompt is longer than the model's context.</exception>
    public static async Task<IReadOnlyList<GeneratedText>> CompleteAsync(
        this BambaRuntime runtime,
        IReadOnlyList<string> prompts,
        GenerationOptions? options = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(runtime);
        ArgumentNullException.ThrowIfNull(prompts);
        options ??= new GenerationOptions();
        ReadOnlyMemory<int>[] rows = Encode(runtime, prompts);
        using BambaSession session = OpenSession(runtime, rows, options);
        List<GeneratedToken>[] tokens = [.. rows.Select(_ => new List<GeneratedToken>())];
        await foreach (
            GeneratedToken token in session
                .GenerateTokensAsync(rows, options, ahead: 1, cancellationToken)
                .ConfigureAwait(false)
        )
        {
            tokens[token.Row].Add(token);
        }
        return [.. prompts.Select((prompt, row) => TextOf(prompt, rows[row].Length, tokens[row]))];
    }

    private static ReadOnlyMemory<int>[] Encode(BambaRuntime runtime, IReadOnlyList<string> prompts) =>
        [.. prompts.Select(prompt => (ReadOnlyMemory<int>)runtime.Tokenizer.Encode(prompt))];

    private static BambaSession OpenSession(BambaRuntime runtime, ReadOnlyMemory<int>[] rows, GenerationOptions options)
    {
        if (rows.Length == 0)
        {
            throw new ArgumentException("expected at least one prompt, found none");
        }
        long longest = rows.Max(ids => (long)ids.Length) + options.MaxNewTokensFor(runtime);
        return runtime.CreateSession(rows.Length, (int)Math.Clamp(longest, 1, runtime.ContextLength));
    }

    private static void Choose(RowGenerator[] generators, int[] next, List<GeneratedToken> chosen)
    {
        chosen.Clear();
        for (int row = 0; row < generators.Length; row++)
        {
            if (!generators[row].IsFinished)
            {
                chosen.Add(generators[row].Choose());
            }
            next[row] = generators[row].Pending;
        }
    }

    /// <summary>Lets a device choose where it can choose for every row; null where the processor does.</summary>
    private static SampledSteps? SampleOnDevice(BambaSession session, RowGenerator[] generators)
    {
        if (session.Runtime.Provider != ExecutionProvider.Cuda || generators.All(generator => generator.IsFinished))
        {
            return null;
        }
        SamplingRow?[] options = [.. generators.Select(generator => generator.DeviceOptions)];
        return options.Contains(null)
            ? null
            : session.SampleWhereScoresAre(
                [.. options.Select(row => row!.Value)],
                generators[0].EosTokenIds.AsSpan(),
                [.. generators.Select(generator => generator.IsFinished)]
            );
    }

    private static void Accept(RowGenerator[] generators, SampledSteps device, int ahead, List<GeneratedToken> chosen)
    {
        chosen.Clear();
        ReadOnlySpan<int> tokens = device.Next(ahead);
        for (int row = 0; row < generators.Length; row++)
        {
            if (!generators[row].IsFinished)
            {
                chosen.Add(generators[row].Accept(tokens[row]));
            }
            if (generators[row].IsFinished)
            {
                device.Rest(row);
            }
        }
    }

    private static void RequireTokensInEveryRow(IReadOnlyList<ReadOnlyMemory<int>> rows)
    {
        for (int row = 0; row < rows.Count; row++)
        {
            if (rows[row].IsEmpty)
            {
                throw new ArgumentException($"expected tokens for every row, found none for row {row}", nameof(rows));
            }
        }
    }

    private static GeneratedText TextOf(string prompt, int promptTokens, List<GeneratedToken> tokens)
    {
        var text = new StringBuilder();
        tokens.ForEach(token => text.Append(token.Text));
        return new GeneratedText(
            prompt,
            text.ToString(),
            [.. tokens],
            promptTokens,
            tokens is [.., var last] ? last.FinishReason : null
        );
    }
}
