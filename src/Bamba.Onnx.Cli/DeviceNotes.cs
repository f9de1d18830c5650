using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli;

/// <summary>What a command tells of devices on standard error: what a model will take there, and why it runs elsewhere.</summary>
internal static class DeviceNotes
{
    /// <summary>Loads a model; before that tells what it takes on a device that was asked for, after it why <c>auto</c> took none.</summary>
    public static async Task<BambaRuntime> LoadAsync(
        CliConsole console,
        string folder,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken
    )
    {
        if (options.Provider == ExecutionProvider.Cuda)
        {
            await console
                .Error.WriteLineAsync($"device memory: {BambaRuntime.PlanMemory(folder, options)}")
                .ConfigureAwait(false);
        }
        BambaRuntime runtime = await BambaRuntime.LoadAsync(folder, options, cancellationToken).ConfigureAwait(false);
        if (runtime.FallbackReason is { } reason)
        {
            await console.Error.WriteLineAsync($"runs on the processor: {reason}").ConfigureAwait(false);
        }
        return runtime;
    }
}
