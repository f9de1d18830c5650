using System.CommandLine;
using System.CommandLine.Completions;

namespace Bamba.Onnx.Cli.Completion;

/// <summary>Proposes folders where a folder is wanted. Shells add nothing behind a proposal that ends with a slash.</summary>
internal static class FolderCompletions
{
    private const string Home = "~/";

    /// <summary>Lets an argument's proposals be folders.</summary>
    public static void CompleteFolders(this Argument argument)
    {
        // Without a name for the help, the help would list the folders that happen to be there.
        argument.HelpName ??= argument.Name;
        argument.CompletionSources.Add(Propose);
    }

    /// <summary>Lets the proposals for an option's value be folders.</summary>
    public static void CompleteFolders(this Option option) => option.CompletionSources.Add(Propose);

    private static IEnumerable<CompletionItem> Propose(CompletionContext context) =>
        Under(context.WordToComplete).Select(folder => new CompletionItem(folder));

    /// <summary>Folders whose path begins with what was typed, in the spelling of what was typed.</summary>
    private static IEnumerable<string> Under(string typed)
    {
        int nameStart = typed.LastIndexOf('/') + 1;
        (string parent, string name) = (typed[..nameStart], typed[nameStart..]);
        string place = parent.StartsWith(Home, StringComparison.Ordinal)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), parent[Home.Length..])
            : parent;
        try
        {
            return
            [
                .. Directory
                    .EnumerateDirectories(place.Length == 0 ? "." : place)
                    .Select(folder => Path.GetFileName(folder))
                    .Where(found => found.StartsWith(name, StringComparison.Ordinal))
                    // Hidden folders are for those who ask.
                    .Where(found => name.StartsWith('.') || !found.StartsWith('.'))
                    .Order(StringComparer.Ordinal)
                    .Select(found => $"{parent}{found}/"),
            ];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Somebody is typing: a place that cannot be read has nothing to propose, and a message would be in the way.
            return [];
        }
    }
}
