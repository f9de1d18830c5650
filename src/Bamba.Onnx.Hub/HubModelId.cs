using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Bamba.Onnx.Hub;

/// <summary>
/// A model of the Hugging Face hub at a revision: <c>owner/name</c>, or <c>owner/name@revision</c> where the revision is a branch,
/// a tag, a commit or the first characters of one.
/// </summary>
public sealed record HubModelId
{
    /// <summary>The branch of a model that names no revision.</summary>
    public const string DefaultRevision = "main";

    /// <summary>Characters of a full commit.</summary>
    public const int CommitLength = 40;

    private const int LongestPart = 96;

    private static readonly SearchValues<char> PartCharacters = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    );

    // What git refuses in the name of a reference.
    private static readonly SearchValues<char> NoRevisionCharacters = SearchValues.Create(" ~^:?*[\\\u007f");

    private HubModelId(string owner, string name, string revision)
    {
        Owner = owner;
        Name = name;
        Revision = revision;
    }

    /// <summary>The user or organization.</summary>
    public string Owner { get; }

    /// <summary>The name that its owner gave it.</summary>
    public string Name { get; }

    /// <summary>A branch, a tag, a commit or the first characters of one.</summary>
    public string Revision { get; }

    /// <summary><c>owner/name</c>.</summary>
    public string Repository => $"{Owner}/{Name}";

    /// <summary>Whether the revision is a full commit, which never changes what it means.</summary>
    public bool IsAtCommit => IsCommit(Revision);

    /// <summary>Reads an id.</summary>
    /// <param name="text"><c>owner/name</c> or <c>owner/name@revision</c>.</param>
    /// <param name="revision">The revision, for a text that has none; <see cref="DefaultRevision"/> where neither has one.</param>
    /// <exception cref="ArgumentException">The text is no id, or the revision is none or is given twice.</exception>
    public static HubModelId Parse(string text, string? revision = null) =>
        TryParse(text, revision, out HubModelId? id, out string? problem)
            ? id
            : throw new ArgumentException($"{text}: is no Hugging Face id: {problem}", nameof(text));

    /// <summary>Reads an id, or says why the text is none.</summary>
    /// <param name="text"><c>owner/name</c> or <c>owner/name@revision</c>.</param>
    /// <param name="revision">The revision, for a text that has none.</param>
    /// <param name="id">The id.</param>
    /// <param name="problem">Why there is none.</param>
    public static bool TryParse(
        string text,
        string? revision,
        [NotNullWhen(true)] out HubModelId? id,
        [NotNullWhen(false)] out string? problem
    )
    {
        ArgumentNullException.ThrowIfNull(text);
        id = null;
        int at = text.IndexOf('@', StringComparison.Ordinal);
        string repository = at < 0 ? text : text[..at];
        string? own = at < 0 ? null : text[(at + 1)..];
        string[] parts = repository.Split('/');
        if (parts.Length != 2)
        {
            problem = "expected owner/name";
            return false;
        }
        if (own is not null && revision is not null && own != revision)
        {
            problem = $"two revisions are given, '{own}' and '{revision}'";
            return false;
        }
        string chosen = own ?? revision ?? DefaultRevision;
        problem = ProblemOfPart("owner", parts[0]) ?? ProblemOfPart("name", parts[1]) ?? ProblemOfRevision(chosen);
        if (problem is null)
        {
            id = new HubModelId(parts[0], parts[1], chosen);
        }
        return problem is null;
    }

    /// <summary>Whether a text is a full commit: 40 lower-case hexadecimal digits.</summary>
    public static bool IsCommit(string text) => text is { Length: CommitLength } && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The id at another revision.</summary>
    /// <exception cref="ArgumentException">It is no revision.</exception>
    public HubModelId At(string revision) => Parse(Repository, revision);

    /// <inheritdoc/>
    public override string ToString() => Revision == DefaultRevision ? Repository : $"{Repository}@{Revision}";

    private static string? ProblemOfPart(string kind, string part)
    {
        if (part.Length is 0 or > LongestPart)
        {
            return $"{kind}: expected 1 to {LongestPart} characters, found {part.Length}";
        }
        if (part.AsSpan().ContainsAnyExcept(PartCharacters))
        {
            return $"{kind}: expected letters, digits, '-', '_' and '.', found '{part}'";
        }
        if (part[0] is '-' or '.' || part[^1] is '-' or '.')
        {
            return $"{kind}: '{part}' begins or ends with '-' or '.'";
        }
        // The cache joins owner and name with "--", so neither may hold it.
        if (part.Contains("--", StringComparison.Ordinal) || part.Contains("..", StringComparison.Ordinal))
        {
            return $"{kind}: '{part}' contains '--' or '..'";
        }
        return part.EndsWith(".git", StringComparison.OrdinalIgnoreCase) ? $"{kind}: '{part}' ends with .git" : null;
    }

    /// <summary>A revision becomes a path below <c>refs</c>, so whatever could lead out of there is refused, as git does.</summary>
    private static string? ProblemOfRevision(string revision)
    {
        bool wrong =
            revision.Length is 0 or > 255
            || revision.AsSpan().ContainsAny(NoRevisionCharacters)
            || revision.Any(char.IsControl)
            || revision.Contains("..", StringComparison.Ordinal)
            || revision.Contains("@{", StringComparison.Ordinal)
            || revision.EndsWith('.')
            || revision
                .Split('/')
                .Any(part => part.Length == 0 || part[0] == '.' || part.EndsWith(".lock", StringComparison.Ordinal));
        return wrong ? $"revision: '{revision}' is no name of a branch, tag or commit" : null;
    }
}
