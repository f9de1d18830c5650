using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>
/// Compares a model with the one that it was made from, on text. One is in memory at a time: the reference goes first, its scores
/// into a temporary file.
/// </summary>
internal sealed class QualityCheck
{
    private readonly CliConsole console;
    private readonly ModelFolder model;
    private readonly ModelFolder reference;
    private readonly QualityText text;
    private readonly QualityLimits limits;
    private readonly BambaRuntimeOptions options;
    private readonly long start = Stopwatch.GetTimestamp();

    private QualityCheck(
        CliConsole console,
        string modelFolder,
        string referenceFolder,
        string textFile,
        QualityLimits limits,
        BambaRuntimeOptions options
    )
    {
        this.console = console;
        this.limits = limits;
        this.options = options;
        model = ModelFolder.Open(modelFolder);
        reference = ModelFolder.Open(referenceFolder);
        RequireComparable();
        text = QualityText.Read(textFile, modelFolder, referenceFolder, limits);
    }

    /// <summary>Compares two exported folders on a text.</summary>
    /// <exception cref="BambaFormatException">A folder or the text is missing, damaged or too short.</exception>
    /// <exception cref="BambaException">The models are not comparable, or one does not run here.</exception>
    /// <exception cref="IOException">The reference's scores cannot be kept.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public static QualityReport Run(
        CliConsole console,
        string modelFolder,
        string referenceFolder,
        string textFile,
        QualityLimits limits,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken
    )
    {
        var check = new QualityCheck(console, modelFolder, referenceFolder, textFile, limits, options);
        try
        {
            return check.Run(cancellationToken);
        }
        finally
        {
            console.ClearStatus();
        }
    }

    private QualityReport Run(CancellationToken cancellationToken)
    {
        int vocabSize = reference.Config.VocabSize;
        using var scores = new ScoresFile(Path.GetTempPath(), text.Positions, vocabSize);
        ExecutionProvider referenceProvider = Score(
            reference,
            "reference",
            text.Positions,
            // What it leaves is for the model, which is to score the same positions.
            limits.Time / 2,
            (_, position) => scores.Add(position),
            cancellationToken
        );
        scores.Rewind();
        var comparer = new PositionComparer(vocabSize);
        var compared = new List<PositionComparison>(scores.Count);
        ExecutionProvider provider = Score(
            model,
            "model",
            scores.Count,
            limits.Time,
            (i, position) => compared.Add(comparer.Compare(scores.Next(), position, text.Next(i))),
            cancellationToken
        );
        return Report(compared, referenceProvider, provider);
    }

    /// <summary>Loads a model, scores positions and tells what it ran on.</summary>
    private ExecutionProvider Score(
        ModelFolder folder,
        string role,
        int positions,
        TimeSpan limit,
        Action<int, ReadOnlySpan<float>> take,
        CancellationToken cancellationToken
    )
    {
        console.ShowStatus($"{role}: loading");
        using var scorer = TextScorer.Open(folder, options, cancellationToken);
        if (scorer.FallbackReason is { } reason)
        {
            console.Error.WriteLine($"the {role} runs on the processor: {reason}");
        }
        scorer.Score(
            text,
            positions,
            () => Stopwatch.GetElapsedTime(start) >= limit,
            (i, position) =>
            {
                if (i % text.Window == 0)
                {
                    console.ShowStatus($"{role}: token {i:N0} of {positions:N0}");
                }
                take(i, position);
            },
            cancellationToken
        );
        return scorer.Provider;
    }

    private QualityReport Report(
        List<PositionComparison> compared,
        ExecutionProvider referenceProvider,
        ExecutionProvider provider
    )
    {
        double referenceNats = compared.Average(position => position.ReferenceNats);
        double nats = compared.Average(position => position.Nats);
        var growth = new Sample(compared.Select(position => position.Nats - position.ReferenceNats));
        var divergence = new Sample(compared.Select(position => position.Divergence));
        var versions = ProductVersions.OfProcess();
        double ratio = QualityReport.Exp(growth.Mean);
        return new QualityReport
        {
            BambaOnnxVersion = versions.BambaOnnx,
            OnnxruntimeVersion = versions.OnnxRuntime,
            Reference = QualityModel.Of(reference, referenceProvider, referenceNats),
            Model = QualityModel.Of(model, provider, nats),
            PerplexityRatio = ratio,
            // That of the logarithm, carried over by its derivative.
            PerplexityRatioError = Math.Min(ratio * growth.StandardError, double.MaxValue),
            MeanKl = divergence.Mean,
            MeanKlError = divergence.StandardError,
            KlP99 = divergence.Quantile(0.99),
            MaxKl = divergence.Max,
            TopAgreement = (double)compared.Count(position => position.SameTop) / compared.Count,
            Text = text.Name,
            Tokens = compared.Count,
            Windows = (int)Math.Ceiling((double)compared.Count / text.Window),
            Window = text.Window,
            Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            EndedBy =
                compared.Count < text.Positions ? QualityEnd.Seconds
                : text.IsShort ? QualityEnd.Text
                : QualityEnd.Tokens,
        };
    }

    private void RequireComparable()
    {
        if (model.Config.VocabSize != reference.Config.VocabSize)
        {
            throw new BambaException(
                $"{model.Path}: expected a vocabulary of {reference.Config.VocabSize} tokens, that of {reference.Path}, found {model.Config.VocabSize}"
            );
        }
        foreach (ModelFolder folder in (ModelFolder[])[model, reference])
        {
            if (limits.Window > folder.Manifest.Options.ContextLength)
            {
                throw new BambaException(
                    $"{folder.Path}: expected windows of at most {folder.Manifest.Options.ContextLength} tokens, the model's context, found {limits.Window}"
                );
            }
        }
    }
}
