using Microsoft.Extensions.Logging;

namespace Bamba.Onnx.Diagnostics;

/// <summary>What the library logs.</summary>
internal static partial class Log
{
    [LoggerMessage(
        1,
        LogLevel.Information,
        "Loaded {Folder}: {Parameters} parameters as {Dtype}, context of {ContextLength} tokens, in {Milliseconds} ms"
    )]
    public static partial void Loaded(
        this ILogger logger,
        string folder,
        long parameters,
        string dtype,
        int contextLength,
        long milliseconds
    );

    [LoggerMessage(
        2,
        LogLevel.Debug,
        "Opened a session of {Rows} rows and {ContextLength} tokens: {Bytes} bytes of caches"
    )]
    public static partial void SessionOpened(this ILogger logger, int rows, int contextLength, long bytes);

    [LoggerMessage(
        3,
        LogLevel.Debug,
        "Generation of {Rows} rows ended after {Steps} steps: {PromptTokens} prompt tokens, {NewTokens} new ones"
    )]
    public static partial void Generated(this ILogger logger, int rows, int steps, int promptTokens, int newTokens);

    [LoggerMessage(4, LogLevel.Information, "Runs on the processor, not on CUDA: {Reason}")]
    public static partial void FellBack(this ILogger logger, string reason);
}
