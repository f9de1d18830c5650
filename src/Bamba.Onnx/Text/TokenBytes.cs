using System.Text;

namespace Bamba.Onnx.Text;

/// <summary>What every id decodes to, as UTF-8 that may begin or end inside a character.</summary>
internal sealed class TokenBytes
{
    private readonly byte[] bytes;
    private readonly int[] ends;
    private readonly bool[] special;

    /// <param name="vocabulary">The BPE vocabulary, spelled in <see cref="ByteAlphabet"/>.</param>
    /// <param name="addedTokens">Tokens that decode to their content as it stands, also where the vocabulary has them.</param>
    public TokenBytes(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyCollection<AddedToken> addedTokens)
    {
        Count = 1 + Math.Max(vocabulary.Values.Max(), addedTokens.Select(token => token.Id).DefaultIfEmpty(-1).Max());
        special = new bool[Count];
        var byId = new byte[]?[Count];
        foreach ((string token, int id) in vocabulary)
        {
            byId[id] = Unspell(token);
        }
        foreach (AddedToken token in addedTokens)
        {
            byId[token.Id] = Encoding.UTF8.GetBytes(token.Content);
            special[token.Id] = token.Special;
        }
        ends = new int[Count];
        bytes = new byte[byId.Sum(token => token?.Length ?? 0)];
        int end = 0;
        for (int id = 0; id < Count; id++)
        {
            byte[] token = byId[id] ?? [];
            token.CopyTo(bytes, end);
            ends[id] = end += token.Length;
            Longest = Math.Max(Longest, token.Length);
        }
    }

    /// <summary>One more than the highest id of a token.</summary>
    public int Count { get; }

    /// <summary>Bytes of the longest token.</summary>
    public int Longest { get; }

    public bool IsSpecial(int id) => (uint)id < (uint)special.Length && special[id];

    /// <summary>The bytes of an id; none for ids that no token has.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public ReadOnlySpan<byte> Get(int id, bool skipSpecialTokens)
    {
        if (id < 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(id),
                id,
                $"Token {id} does not exist: ids run from 0 to {Count - 1}."
            );
        }
        if (id >= Count || (skipSpecialTokens && special[id]))
        {
            return [];
        }
        int start = id == 0 ? 0 : ends[id - 1];
        return bytes.AsSpan(start, ends[id] - start);
    }

    /// <summary>The bytes that a token spells; its own UTF-8 if it is not spelled in bytes.</summary>
    private static byte[] Unspell(string token)
    {
        var spelled = new byte[token.Length];
        for (int i = 0; i < spelled.Length; i++)
        {
            if (!ByteAlphabet.TryToByte(token[i], out spelled[i]))
            {
                return Encoding.UTF8.GetBytes(token);
            }
        }
        return spelled;
    }
}
