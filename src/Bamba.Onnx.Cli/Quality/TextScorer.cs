using System.Numerics.Tensors;
using Bamba.Onnx.Cli.Verification;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices;
using Bamba.Onnx.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>
/// What one model scores at every position of a text, by <c>model.onnx</c>, which gives a whole prompt's scores. A window is fed
/// in pieces: however long it is and large the vocabulary, the scores of one piece are all that is in memory.
/// </summary>
internal sealed class TextScorer : IDisposable
{
    private const long StandardPieceBytes = 64L << 20;

    private readonly ModelFolder folder;
    private readonly ProviderChoice choice;
    private readonly InferenceSession graph;
    private readonly GraphSignature signature;
    private readonly int pieceLength;

    private TextScorer(ModelFolder folder, ProviderChoice choice, InferenceSession graph, long pieceBytes)
    {
        this.folder = folder;
        this.choice = choice;
        this.graph = graph;
        GraphOptions options = folder.Manifest.GraphOptions;
        signature = GraphSignature.For(folder.Config, GraphProfile.Portable, options);
        // A graph that scores only the last position is read token by token.
        pieceLength =
            options.LogitsOf(GraphProfile.Portable) == LogitsPositions.All
                ? (int)Math.Max(1, pieceBytes / ((long)sizeof(float) * folder.Config.VocabSize))
                : 1;
    }

    /// <summary>What the model runs on.</summary>
    public ExecutionProvider Provider => choice.Provider;

    /// <summary>Why <see cref="ExecutionProvider.Auto"/> took the processor; null where it did not.</summary>
    public string? FallbackReason => choice.FallbackReason;

    /// <summary>Loads a model.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Ends the loading.</param>
    /// <param name="pieceBytes">Bytes of the scores of a piece, which has one position at least.</param>
    /// <exception cref="BambaFormatException">The graph is damaged or ONNX Runtime refuses it.</exception>
    /// <exception cref="BambaException">The provider is missing, or does not run the folder's element type.</exception>
    public static TextScorer Open(
        ModelFolder folder,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken,
        long pieceBytes = StandardPieceBytes
    )
    {
        var choice = ProviderChoice.Of(options, folder);
        try
        {
            InferenceSession graph = GraphLoader.Load(
                folder,
                GraphProfile.Portable,
                options,
                choice.Device,
                cancellationToken
            );
            return new TextScorer(folder, choice, graph, pieceBytes);
        }
        catch
        {
            choice.Device?.Dispose();
            throw;
        }
    }

    /// <summary>Scores the first positions of a text, in order.</summary>
    /// <param name="text">The text.</param>
    /// <param name="positions">How many.</param>
    /// <param name="isTimeUp">Asked before every piece but the first, so that there is always something to tell.</param>
    /// <param name="take">Gets each position and its scores, [vocab_size], which stay for the call only.</param>
    /// <param name="cancellationToken">Ends the work between pieces.</param>
    /// <exception cref="BambaFormatException">A score is not finite: the weights are damaged.</exception>
    public void Score(
        QualityText text,
        int positions,
        Func<bool> isTimeUp,
        Action<int, ReadOnlySpan<float>> take,
        CancellationToken cancellationToken
    )
    {
        GraphConversation? window = null;
        try
        {
            foreach (TextPiece piece in text.Pieces(pieceLength, positions))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (piece.Start > 0 && isTimeUp())
                {
                    return;
                }
                if (piece.BeginsWindow)
                {
                    window?.Dispose();
                    window = GraphConversation.Open(graph, signature, GraphProfile.Portable, 1, 0, inPlace: false);
                }
                window!.Step(PaddedBatch.Dense(text.Inputs(piece)));
                for (int i = 0; i < piece.Count; i++)
                {
                    take(piece.Start + i, RequireFinite(window.LogitsAt(0, i), piece.Start + i));
                }
            }
        }
        finally
        {
            window?.Dispose();
        }
    }

    public void Dispose()
    {
        graph.Dispose();
        choice.Device?.Dispose();
    }

    private ReadOnlySpan<float> RequireFinite(ReadOnlySpan<float> scores, int position) =>
        TensorPrimitives.MaxMagnitude(scores) is var largest && float.IsFinite(largest)
            ? scores
            : throw new BambaFormatException(
                folder.Path,
                $"expected finite scores, found {largest} after token {position} of the text"
            );
}
