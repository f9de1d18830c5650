using Bamba.Onnx.State;

namespace Bamba.Onnx.Chat;

/// <summary>A turn and where the conversation stood before it.</summary>
/// <param name="Turn">What was said.</param>
/// <param name="Start">Tokens that the session had taken.</param>
/// <param name="Pending">Tokens of the answer before that it had not taken yet.</param>
/// <param name="Before">The session's state; null where it is not kept.</param>
internal sealed record ChatExchange(ChatTurn Turn, int Start, int[] Pending, BambaStateSnapshot? Before);
