using System.Reflection;

namespace Bamba.Onnx.Cli.Help;

/// <summary>Texts that are built into the command: manuals and completion scripts.</summary>
internal static class EmbeddedText
{
    /// <summary>A text that is known to be there.</summary>
    public static string Read(string name) =>
        Find(name) ?? throw new InvalidOperationException($"the command was built without its text {name}");

    /// <summary>A text; null where there is none of that name.</summary>
    public static string? Find(string name)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name);
        if (stream is null)
        {
            return null;
        }
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
