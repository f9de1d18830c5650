using System.Diagnostics;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Packages.Tests;

/// <summary>
/// The machine of somebody who has .NET and nothing of ours: a folder with an empty package cache and no templates. NuGet takes our
/// packages from a feed, and those of others from the cache of whoever runs the tests or from the sources that are set up here.
/// </summary>
public sealed class Workplace : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly TemporaryFolder folder = new();

    /// <summary>An empty folder to work in.</summary>
    /// <param name="feed">Where our packages are.</param>
    public Workplace(string feed) =>
        File.WriteAllText(
            folder["nuget.config"],
            $"""
            <configuration>
              <packageSources>
                <add key="feed" value="{feed}" />
                {(Directory.Exists(PackageCache) ? $"<add key=\"cache\" value=\"{PackageCache}\" />" : "")}
              </packageSources>
            </configuration>
            """
        );

    /// <summary>The packages that the build of this repository restored.</summary>
    public static string PackageCache { get; } =
        Environment.GetEnvironmentVariable("NUGET_PACKAGES")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");

    /// <summary>A path in the folder.</summary>
    public string this[string name] => folder[name];

    /// <inheritdoc/>
    public void Dispose() => folder.Dispose();

    /// <summary>Runs <c>dotnet</c> in the folder, with its own package cache.</summary>
    public Task<ProgramRun> DotnetAsync(params string[] args) =>
        RunAsync("dotnet", args, folder.Path, ("NUGET_PACKAGES", folder["packages"]));

    /// <summary>Runs a program in the folder.</summary>
    public Task<ProgramRun> RunAsync(string program, params string[] args) => RunAsync(program, args, folder.Path);

    private Task<ProgramRun> RunAsync(
        string program,
        string[] args,
        string workingFolder,
        params (string, string)[] variables
    ) =>
        ExecuteAsync(
            program,
            args,
            workingFolder,
            [
                ("DOTNET_CLI_HOME", folder["home"]),
                ("BAMBA_ONNX_CACHE", folder["cache"]),
                ("HF_HUB_CACHE", folder["hub"]),
                .. variables,
            ]
        );

    /// <summary>Runs a program that must succeed.</summary>
    public static async Task<ProgramRun> ExecuteAsync(
        string program,
        string[] args,
        string workingFolder,
        params (string Name, string Value)[] variables
    )
    {
        var start = new ProcessStartInfo(program, args)
        {
            WorkingDirectory = workingFolder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // What the command that runs these tests tells its own children.
        foreach (string name in start.Environment.Keys.Where(IsOfBuild).ToArray())
        {
            start.Environment.Remove(name);
        }
        // A build's helpers that stay would hold its output open.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["DOTNET_NOLOGO"] = "1";
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        try
        {
            await process
                .WaitForExitAsync(TestContext.Current.CancellationToken)
                .WaitAsync(Patience, TestContext.Current.CancellationToken);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
        var run = new ProgramRun(await output, await error);
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', args)}\n{run.Out}\n{run.Error}");
        return run;
    }

    private static bool IsOfBuild(string variable) =>
        variable.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase) && variable != "MSBUILDDISABLENODEREUSE";
}
