using System.Diagnostics;

namespace Bamba.Onnx.Testing;

/// <summary>How soon a program that writes a prompt, and what a model makes of it, writes more than the prompt.</summary>
public static class FirstToken
{
    /// <summary>From the start of the process to the first byte after the prompt; the process then runs to its end.</summary>
    /// <exception cref="EndOfStreamException">The program wrote no more than the prompt.</exception>
    public static TimeSpan TimeTo(string program, string prompt)
    {
        long start = Stopwatch.GetTimestamp();
        using Process process = Process.Start(new ProcessStartInfo(program) { RedirectStandardOutput = true })!;
        process.StandardOutput.BaseStream.ReadExactly(new byte[prompt.Length + 1]);
        TimeSpan time = Stopwatch.GetElapsedTime(start);
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return time;
    }
}
