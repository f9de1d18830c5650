using System.ComponentModel;
using System.Diagnostics;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>A program that ran to its end.</summary>
/// <param name="ExitCode">What it ended with.</param>
/// <param name="Out">What it wrote to standard output, with <c>\n</c> between lines.</param>
/// <param name="Error">What it wrote to standard error.</param>
internal sealed record HostProcess(int ExitCode, string Out, string Error)
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>The folder of the host programs.</summary>
    public static string Hosts { get; } = Path.Combine(TestData.Root, "tests", "Hosts");

    /// <summary>Runs a program; null where there is none of this name.</summary>
    public static async Task<HostProcess?> TryRunAsync(
        string folder,
        string program,
        IEnumerable<string> arguments,
        string input = ""
    )
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process? process = Start(start);
        if (process is null)
        {
            return null;
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(limit.Token);
            Task<string> error = process.StandardError.ReadToEndAsync(limit.Token);
            await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            return new HostProcess(process.ExitCode, (await output).ReplaceLineEndings("\n"), await error);
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>Runs a program that has to be there and to end well.</summary>
    public static async Task<HostProcess> RunAsync(
        string folder,
        string program,
        IEnumerable<string> arguments,
        string input = ""
    )
    {
        HostProcess? run = await TryRunAsync(folder, program, arguments, input);
        Assert.NotNull(run);
        Assert.True(run.ExitCode == 0, $"{program} ended with {run.ExitCode}:\n{run.Out}{run.Error}");
        return run;
    }

    /// <summary>Runs a .NET program of the hosts, which lies beside the tests.</summary>
    public static Task<HostProcess> RunDotnetAsync(string assembly, IEnumerable<string> arguments, string input) =>
        RunAsync(
            AppContext.BaseDirectory,
            Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet",
            [Path.Combine(AppContext.BaseDirectory, $"{assembly}.dll"), .. arguments],
            input
        );

    private static Process? Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start);
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
