using System.Numerics.Tensors;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>
/// Compares two models' scores of one position. All is computed in float64: where models differ by a millionth of a nat, float32
/// would measure its own rounding.
/// </summary>
/// <param name="vocabSize">Scores of a position.</param>
internal sealed class PositionComparer(int vocabSize)
{
    private readonly double[] reference = new double[vocabSize];
    private readonly double[] model = new double[vocabSize];
    private readonly double[] scratch = new double[vocabSize];

    /// <summary>Compares.</summary>
    /// <param name="referenceScores">The reference's, [vocab_size], all finite.</param>
    /// <param name="modelScores">The model's, [vocab_size], all finite.</param>
    /// <param name="next">The token that follows.</param>
    public PositionComparison Compare(ReadOnlySpan<float> referenceScores, ReadOnlySpan<float> modelScores, int next)
    {
        LogSoftmax(referenceScores, reference);
        LogSoftmax(modelScores, model);
        (double referenceNats, double nats) = (-reference[next], -model[next]);
        return new PositionComparison(
            referenceNats,
            nats,
            Divergence(),
            // Of equally likely tokens the first counts, as where tokens are chosen.
            HighestScore.Find(referenceScores) == HighestScore.Find(modelScores)
        );
    }

    /// <summary>Σ p (log p − log q); rounding may leave it below zero, where no divergence is.</summary>
    private double Divergence()
    {
        TensorPrimitives.Exp<double>(reference, scratch);
        TensorPrimitives.Subtract<double>(reference, model, model);
        return Math.Max(0, TensorPrimitives.Dot<double>(scratch, model));
    }

    private void LogSoftmax(ReadOnlySpan<float> scores, double[] result)
    {
        TensorPrimitives.ConvertChecked(scores, result.AsSpan());
        TensorPrimitives.Subtract(result, TensorPrimitives.Max<double>(result), result.AsSpan());
        TensorPrimitives.Exp<double>(result, scratch);
        TensorPrimitives.Subtract(result, Math.Log(TensorPrimitives.Sum<double>(scratch)), result.AsSpan());
    }
}
