using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class BambaTensorsTests
{
    public static TheoryData<string> Checkpoints =>
        [TestData.TinyShakespeare, .. TestData.CaseNames.Select(TestData.Case)];

    [Theory]
    [MemberData(nameof(Checkpoints))]
    public void Names_and_shapes_are_those_that_Hugging_Face_writes(string folder)
    {
        BambaConfig config = BambaConfig.Load(Path.Combine(folder, ModelFiles.Config));
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, ModelFiles.Checkpoint));

        Assert.Equal(
            file.Tensors.Values.Select(tensor => $"{tensor.Name} [{string.Join(", ", tensor.Shape)}]").Order(),
            BambaTensors.Of(config).Select(tensor => $"{tensor.Key} [{string.Join(", ", tensor.Value)}]").Order()
        );
    }

    [Fact]
    public void The_public_9B_model_has_its_published_parameter_count()
    {
        BambaConfig config = BambaConfig.Load(TestData.Bamba9BConfig);

        long parameters = BambaTensors.Of(config).Values.Sum(shape => shape.Aggregate(1L, (a, b) => a * b));

        Assert.Equal(9_780_235_392, parameters);
    }

    [Fact]
    public void Tensors_come_in_the_order_of_the_data_flow()
    {
        string[] names = [.. BambaTensors.Of(BambaConfig.Load(TestData.Bamba9BConfig)).Keys];

        Assert.Equal(BambaTensors.Embedding, names[0]);
        Assert.Equal("model.layers.0.input_layernorm.weight", names[1]);
        Assert.Equal("model.layers.0.mamba.in_proj.weight", names[2]);
        Assert.Equal("model.final_layernorm.weight", names[^2]);
        Assert.Equal(BambaTensors.LmHead, names[^1]);
    }
}
