using System.Collections.Immutable;

namespace Bamba.Onnx.Generation;

/// <summary>
/// The automaton of Aho and Corasick (1975) over a set of stop strings. A node stands for what a text may end with: the
/// longest suffix that begins a stop string. Immutable; one serves any number of sequences.
/// </summary>
/// <remarks>Strings are compared by UTF-16 code units: no case folding, no normalization.</remarks>
internal sealed class StopStrings
{
    /// <summary>The node of a text that ends with no beginning of a stop string.</summary>
    public const int Root = 0;

    private readonly Dictionary<(int Node, char Next), int> edges = [];
    private readonly Node[] nodes;

    /// <exception cref="ArgumentException">
    /// A string is null, empty or not valid Unicode: half a surrogate pair could end a text inside a character.
    /// </exception>
    public StopStrings(IEnumerable<string> strings)
    {
        ArgumentNullException.ThrowIfNull(strings);
        Strings = [.. strings];
        List<Node> trie = [new Node("", 0, Root)];
        foreach (string text in Strings)
        {
            ThrowIfUnusable(text, nameof(strings));
            Insert(text, trie);
        }
        nodes = [.. trie];
        Link();
    }

    public ImmutableArray<string> Strings { get; }

    /// <summary>The node after one more character of the text.</summary>
    public int Next(int node, char next)
    {
        int found;
        while (!edges.TryGetValue((node, next), out found) && node != Root)
        {
            node = nodes[node].Suffix;
        }
        // Without an edge even from the root, found is 0: the root.
        return found;
    }

    /// <summary>What a text at this node ends with.</summary>
    public ReadOnlySpan<char> Spelling(int node) => nodes[node].Text.AsSpan(0, nodes[node].Depth);

    /// <summary>The longest stop string that a text at this node ends with.</summary>
    public string? Match(int node) => nodes[node].Match;

    private static void ThrowIfUnusable(string text, string parameter)
    {
        if (string.IsNullOrEmpty(text))
        {
            throw new ArgumentException("A stop string is empty: it would end every text before it begins.", parameter);
        }
        // Runes have the replacement character for every half.
        if (text != string.Concat(text.EnumerateRunes()))
        {
            throw new ArgumentException($"The stop string \"{text}\" has half a surrogate pair.", parameter);
        }
    }

    private void Insert(string text, List<Node> trie)
    {
        int node = Root;
        for (int i = 0; i < text.Length; i++)
        {
            if (!edges.TryGetValue((node, text[i]), out int child))
            {
                child = trie.Count;
                edges.Add((node, text[i]), child);
                trie.Add(new Node(text, i + 1, node));
            }
            node = child;
        }
        trie[node] = trie[node] with { Match = text };
    }

    /// <summary>Gives every node its longest proper suffix that is a node too.</summary>
    private void Link()
    {
        // Shallow nodes first: a suffix is always shallower, and following it takes the suffixes of suffixes.
        foreach (int index in Enumerable.Range(1, nodes.Length - 1).OrderBy(index => nodes[index].Depth))
        {
            Node node = nodes[index];
            int suffix = node.Parent == Root ? Root : Next(nodes[node.Parent].Suffix, node.Text[node.Depth - 1]);
            nodes[index] = node with { Suffix = suffix, Match = node.Match ?? nodes[suffix].Match };
        }
    }

    /// <param name="Text">A stop string that begins with what the node stands for.</param>
    /// <param name="Depth">The characters of <paramref name="Text"/> that it stands for.</param>
    /// <param name="Parent">The node of one character less at the end.</param>
    private readonly record struct Node(string Text, int Depth, int Parent)
    {
        public int Suffix { get; init; }

        public string? Match { get; init; }
    }
}
