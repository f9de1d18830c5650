namespace Bamba.Onnx.Hosts.Tests;

public sealed class DotnetTests
{
    [Fact]
    public async Task Sixty_lines_of_C_sharp_write_what_Hugging_Face_writes()
    {
        HostProcess run = await HostProcess.RunDotnetAsync(
            "Bamba.Onnx.Hosts.Console",
            [Reference.Model, $"{Reference.Count}"],
            Reference.PromptLines
        );
        Assert.Equal(Reference.TokenLines, run.Out);
        HostTable.Saw("C#", run.Error.Trim(), "model.onnx", "5 prompts × 48 tokens");
    }

    [Fact]
    public void They_are_about_sixty_lines()
    {
        string program = Path.Combine(HostProcess.Hosts, "dotnet", "Program.cs");
        int lines = File.ReadLines(program)
            .Count(line => !string.IsNullOrWhiteSpace(line) && !line.StartsWith("//", StringComparison.Ordinal));
        Assert.InRange(lines, 40, 70);
    }
}
