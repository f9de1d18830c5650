using System.Diagnostics;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Weights;

/// <summary>A file system in memory of a few kilobytes, mounted for one test.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TemporaryFolder mountPoint = new();

    private SmallDisk() { }

    public string Path => mountPoint.Path;

    public string this[string name] => mountPoint[name];

    /// <summary>Mounts one, or skips the test where that is not allowed.</summary>
    public static SmallDisk MountOrSkip(string options)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mounting a small file system needs Linux");
        var disk = new SmallDisk();
        if (Run("mount", "-t", "tmpfs", "-o", options, "tmpfs", disk.Path) != 0)
        {
            disk.mountPoint.Dispose();
            Assert.Skip("mounting a small file system needs more rights than this process has");
        }
        return disk;
    }

    public void Dispose()
    {
        Assert.Equal(0, Run("umount", Path));
        mountPoint.Dispose();
    }

    private static int Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
