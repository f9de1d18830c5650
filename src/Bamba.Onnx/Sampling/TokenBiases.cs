using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// Biases by token id, in ascending order of the ids: an immutable value, equal to another with the same entries, so that options
/// that hold it compare by what they say.
/// </summary>
internal sealed class TokenBiases : IReadOnlyDictionary<int, float>
{
    private readonly int[] ids;
    private readonly float[] biases;

    private TokenBiases(IReadOnlyDictionary<int, float> source)
    {
        ids = [.. source.Keys.Order()];
        biases = [.. ids.Select(id => source[id])];
    }

    public static TokenBiases None { get; } = new(new Dictionary<int, float>());

    public int Count => ids.Length;

    public ReadOnlySpan<int> Ids => ids;

    public ReadOnlySpan<float> Biases => biases;

    IEnumerable<int> IReadOnlyDictionary<int, float>.Keys => ids;

    IEnumerable<float> IReadOnlyDictionary<int, float>.Values => biases;

    public float this[int key] =>
        TryGetValue(key, out float bias) ? bias : throw new KeyNotFoundException($"no bias for token {key}");

    public static TokenBiases CopyOf(IReadOnlyDictionary<int, float> source, [CallerMemberName] string option = "")
    {
        ArgumentNullException.ThrowIfNull(source, option);
        foreach ((int id, float bias) in source)
        {
            if (id < 0 || float.IsNaN(bias))
            {
                throw new ArgumentOutOfRangeException(
                    option,
                    $"expected token ids that are not negative and biases that are numbers, found {bias} for id {id}"
                );
            }
        }
        return source as TokenBiases ?? new TokenBiases(source);
    }

    public bool ContainsKey(int key) => TryGetValue(key, out _);

    public bool TryGetValue(int key, [MaybeNullWhen(false)] out float value)
    {
        int index = Array.BinarySearch(ids, key);
        value = index >= 0 ? biases[index] : default;
        return index >= 0;
    }

    public IEnumerator<KeyValuePair<int, float>> GetEnumerator() =>
        ids.Zip(biases, KeyValuePair.Create).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override bool Equals(object? obj) =>
        obj is TokenBiases other && Ids.SequenceEqual(other.Ids) && Biases.SequenceEqual(other.Biases);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        for (int i = 0; i < ids.Length; i++)
        {
            hash.Add(ids[i]);
            hash.Add(biases[i]);
        }
        return hash.ToHashCode();
    }

    /// <summary>The entries, as a record prints its members.</summary>
    public override string ToString() =>
        $"{{ {string.Join(", ", this.Select(entry => $"{entry.Key}: {entry.Value}"))} }}";
}
