using System.CommandLine;
using System.CommandLine.Completions;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.Completion;

/// <summary>Proposes models: folders, and the ids of Bamba models in Hugging Face's cache.</summary>
internal static class ModelCompletions
{
    /// <summary>Lets an argument's proposals be models.</summary>
    public static void CompleteModels(this Argument argument, CliConsole console)
    {
        argument.CompleteFolders();
        argument.CompletionSources.Add(_ => Propose(console));
    }

    /// <summary>Lets the proposals for an option's value be models.</summary>
    public static void CompleteModels(this Option option, CliConsole console)
    {
        option.CompleteFolders();
        option.CompletionSources.Add(_ => Propose(console));
    }

    private static IEnumerable<CompletionItem> Propose(CliConsole console) =>
        [.. Ids(console).Select(id => new CompletionItem(id))];

    private static IEnumerable<string> Ids(CliConsole console)
    {
        try
        {
            return
            [
                .. new HubCache(HubSettings.From(console.Variable).HubCacheFolder)
                    .Snapshots()
                    .Where(snapshot => snapshot.IsBamba)
                    .Select(snapshot => snapshot.Id.Repository)
                    .Distinct(),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // Somebody is typing: a cache that cannot be read has nothing to propose, and a message would be in the way.
            return [];
        }
    }
}
