using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests;

public sealed class CustomOpsTests
{
    [Fact]
    public void A_library_that_is_not_there_is_an_error_that_names_it()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "no-such-library.so");
        var error = Assert.Throws<BambaFormatException>(() => CustomOps.FromFile(path).Find(ExecutionProvider.Cpu));
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Off_takes_no_library_and_so_does_auto_where_there_is_none()
    {
        Assert.Null(CustomOps.Off.Find(ExecutionProvider.Cpu));
        Assert.False(File.Exists(Path.Combine(AppContext.BaseDirectory, CustomOps.FileName)));
        Assert.Null(CustomOps.Auto.Find(ExecutionProvider.Cpu));
    }

    [Fact]
    public void A_file_that_is_no_library_is_an_error_that_names_it()
    {
        string file = Path.Combine(TestData.TinyShakespeare, ModelFiles.Config);
        var options = new BambaRuntimeOptions { CustomOps = CustomOps.FromFile(file) };
        var error = Assert.Throws<BambaFormatException>(() =>
            BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare), options)
        );
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }
}
