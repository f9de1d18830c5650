using System.Text;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Chat;

/// <summary>An answer as it comes.</summary>
internal sealed class ChatAnswer
{
    private readonly List<int> ids = [];
    private readonly StringBuilder text = new();

    /// <summary>Why it ended; null as long as it did not, and where nothing was asked for.</summary>
    public FinishReason? FinishReason { get; private set; }

    /// <summary>Whether nobody stopped it.</summary>
    public bool IsComplete { get; set; }

    public bool IsEmpty => ids.Count == 0;

    public string Text => text.ToString();

    public void Add(GeneratedToken token)
    {
        ids.Add(token.Id);
        text.Append(token.Text);
        FinishReason = token.FinishReason;
    }

    /// <summary>The tokens that the session has yet to take, without one that ends a text: the next turn brings its own end.</summary>
    /// <param name="taken">Tokens of the answer that it has taken.</param>
    public int[] Pending(int taken)
    {
        int count = FinishReason is Generation.FinishReason.EndToken ? ids.Count - 1 : ids.Count;
        return [.. ids.Take(count).Skip(taken)];
    }
}
