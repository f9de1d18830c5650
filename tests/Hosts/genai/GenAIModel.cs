using System.Runtime.InteropServices;
using static Bamba.Onnx.Hosts.GenAI.GenAI;

namespace Bamba.Onnx.Hosts.GenAI;

/// <summary>A model folder, loaded into ONNX Runtime GenAI.</summary>
public sealed class GenAIModel : IDisposable
{
    private readonly nint model;

    /// <summary>Loads a folder.</summary>
    /// <param name="library">The path of <c>libonnxruntime-genai</c>; of several in a process the first one counts.</param>
    /// <param name="folder">A folder with genai_config.json.</param>
    /// <param name="overlay">JSON that replaces parts of that file; null for none.</param>
    /// <exception cref="InvalidOperationException">GenAI refuses the folder.</exception>
    public GenAIModel(string library, string folder, string? overlay)
    {
        Use(library);
        Check(OgaCreateConfig(folder, out nint config));
        try
        {
            if (overlay is not null)
            {
                Check(OgaConfigOverlay(config, overlay));
            }
            Check(OgaCreateModelFromConfig(config, out model));
        }
        finally
        {
            OgaDestroyConfig(config);
        }
    }

    /// <summary>Starts to generate greedily.</summary>
    /// <param name="search">Numbers of the configuration's search section, such as <c>max_length</c>.</param>
    public GenAIGenerator Start(params (string Name, double Value)[] search)
    {
        ArgumentNullException.ThrowIfNull(search);
        Check(OgaCreateGeneratorParams(model, out nint parameters));
        try
        {
            foreach ((string name, double value) in search)
            {
                Check(OgaGeneratorParamsSetSearchNumber(parameters, name, value));
            }
            Check(OgaCreateGenerator(model, parameters, out nint generator));
            return new GenAIGenerator(generator);
        }
        finally
        {
            OgaDestroyGeneratorParams(parameters);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => OgaDestroyModel(model);
}

/// <summary>A row, or a batch of rows, that GenAI continues.</summary>
public sealed class GenAIGenerator : IDisposable
{
    private readonly nint generator;

    internal GenAIGenerator(nint generator) => this.generator = generator;

    /// <summary>Appends tokens to the only row.</summary>
    public void Append(ReadOnlySpan<int> ids)
    {
        FeedLast();
        Check(OgaGenerator_AppendTokens(generator, ids, (nuint)ids.Length));
    }

    /// <summary>Appends to each row of a batch; GenAI pads the shorter ones on the right.</summary>
    public void Append(IEnumerable<int[]> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        Check(OgaCreateSequences(out nint sequences));
        foreach (int[] row in rows)
        {
            Check(OgaAppendTokenSequence(row, (nuint)row.Length, sequences));
        }
        Check(OgaGenerator_AppendTokenSequences(generator, sequences));
        OgaDestroySequences(sequences);
    }

    /// <summary>Adds a token to every row.</summary>
    public void Next() => Check(OgaGenerator_GenerateNextToken(generator));

    /// <summary>
    /// Feeds the last generated token, which GenAI since 0.16 forgets when tokens are appended: its mask counts one token more than
    /// went through the model. Who asks for the scores behind that token gets it fed.
    /// </summary>
    private void FeedLast()
    {
        if (OgaGenerator_GetSequenceCount(generator, 0) > 0)
        {
            Check(OgaGenerator_GetLogits(generator, out nint logits));
            OgaDestroyTensor(logits);
        }
    }

    /// <summary>All tokens of a row, appended and generated ones.</summary>
    public int[] Tokens(int row)
    {
        int[] tokens = new int[OgaGenerator_GetSequenceCount(generator, (nuint)row)];
        Marshal.Copy(OgaGenerator_GetSequenceData(generator, (nuint)row), tokens, 0, tokens.Length);
        return tokens;
    }

    /// <inheritdoc/>
    public void Dispose() => OgaDestroyGenerator(generator);
}
