namespace Bamba.Onnx.Cli;

/// <summary>What the process answers.</summary>
internal static class ExitCode
{
    public const int Success = 0;
    public const int CheckFailed = 1;
    public const int WrongUsage = 2;
    public const int BadInput = 3;
    public const int Cancelled = 130;
}
