using System.CommandLine;
using Bamba.Onnx.Cli.Completion;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>What a user says of a model: a folder or an id, and how an id is to be found.</summary>
/// <param name="Model">A folder or an id; null for the model that comes with the command.</param>
/// <param name="Revision">A branch, tag or commit of an id.</param>
/// <param name="Download">Whether missing files may be fetched.</param>
internal sealed record ModelRequest(string? Model, string? Revision = null, bool Download = false);

/// <summary>The argument and options by which every command finds its model.</summary>
internal sealed class ModelArguments
{
    private const string Kinds =
        "An exported folder, a checkpoint folder, or a Hugging Face id: owner/name[@revision].";

    private readonly Argument<string?> model;

    private readonly Option<string?> revision = new("--revision")
    {
        Description = "With an id: its branch, tag or commit; main by default.",
        HelpName = "REV",
    };
    private readonly Option<bool> download = new("--download")
    {
        Description =
            "With an id: download what Hugging Face's cache lacks of it; without this nothing asks the network.",
    };

    private ModelArguments(CliConsole console, string name, string description, bool optional)
    {
        model = new Argument<string?>(name)
        {
            Description = description,
            Arity = optional ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
        };
        model.CompleteModels(console);
    }

    /// <summary>A model that a command cannot do without.</summary>
    public static ModelArguments Required(CliConsole console, string name = "MODEL", string kinds = Kinds) =>
        new(console, name, kinds, optional: false);

    /// <summary>A model that has a default.</summary>
    public static ModelArguments Optional(CliConsole console) =>
        new(
            console,
            "MODEL",
            $"{Kinds} A checkpoint is exported to a cache first. Without it the small model that comes along.",
            optional: true
        );

    /// <summary>Makes the argument the command's first, and the options its last so far.</summary>
    public void AddTo(Command command)
    {
        command.Arguments.Insert(0, model);
        command.Options.Add(revision);
        command.Options.Add(download);
    }

    public ModelRequest Read(ParseResult parsed) =>
        new(parsed.GetValue(model), parsed.GetValue(revision), parsed.GetValue(download));
}
