namespace Bamba.Onnx.Chat;

/// <summary>How a format writes a turn: Open role CloseRole BeforeText text End AfterEnd.</summary>
/// <param name="Begin">The special token before the first turn; null for none.</param>
/// <param name="Open">The special token that opens a turn; templates of the format are known by it.</param>
/// <param name="CloseRole">The special token behind the role; null for none.</param>
/// <param name="BeforeText">What separates the head of a turn from its text.</param>
/// <param name="End">The special token that ends a turn.</param>
/// <param name="AfterEnd">What separates turns.</param>
/// <param name="TrimsText">Whether a text loses the white space around it.</param>
internal sealed record ChatMarkup(
    string? Begin,
    string Open,
    string? CloseRole,
    string BeforeText,
    string End,
    string AfterEnd,
    bool TrimsText
);
