using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>The checkpoint contract of the public 9B model, without a checkpoint and without memory.</summary>
public sealed class ParameterNamesTests
{
    private static readonly BambaModuleOptions onMeta = new() { Device = DeviceType.META, Dtype = ScalarType.BFloat16 };

    [Fact]
    public void The_9B_model_has_the_approved_parameters()
    {
        using var model = new BambaForCausalLM(BambaConfig.Load(TestData.Bamba9BConfig), onMeta);
        var actual = new StringBuilder();
        foreach ((string name, var parameter) in model.named_parameters().OrderBy(p => p.name, StringComparer.Ordinal))
        {
            actual.Append(name).Append(" [").AppendJoin(", ", parameter.shape).Append("]\n");
        }

        Assert.Equal(File.ReadAllText(Approved()), actual.ToString());
        Assert.Equal(9_780_235_392, model.ParameterCount);
        Assert.All(model.parameters(), parameter => Assert.Equal(DeviceType.META, parameter.device_type));
    }

    [Fact]
    public void Every_module_knows_the_path_of_its_parameters()
    {
        using var model = new BambaForCausalLM(BambaConfig.Load(TestData.Bamba9BConfig), onMeta);
        int checkedModules = 0;

        foreach ((string name, nn.Module module) in model.named_modules())
        {
            // TorchSharp's own modules (projections, the list of layers) carry none.
            if (module.GetType().GetProperty("Path") is { } path)
            {
                Assert.Equal(name, path.GetValue(module));
                Assert.Same(model.Config, module.GetType().GetProperty("Config")!.GetValue(module));
                checkedModules++;
            }
        }

        // A layer, two norms, a network and a mixer each; two more in a Mamba mixer; model, embeddings, final norm and rotation.
        Assert.Equal((32 * 5) + (29 * 2) + 4, checkedModules);
        Assert.Equal("", model.Path);
    }

    [Theory]
    [MemberData(nameof(ReferenceTests.Cases), MemberType = typeof(ReferenceTests))]
    public void Each_reference_checkpoint_fills_every_parameter(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        using SafetensorsValues checkpoint = SafetensorsValues.Open(
            Path.Combine(TestData.Case(name), "model.safetensors")
        );

        foreach ((string parameterName, var parameter) in reference.Model.named_parameters())
        {
            Assert.Equal(checkpoint.Shape(parameterName), parameter.shape);
            Assert.Equal(checkpoint.Floats(parameterName), parameter.flatten().data<float>().ToArray());
        }
        Assert.Equal(reference.Model.Config.TieWordEmbeddings, reference.Model.LmHead is null);
    }

    private static string Approved() =>
        Path.Combine(
            TestData.Root,
            "tests",
            "Bamba.Onnx.Exporter.Tests",
            "Modules",
            "bamba-9b-v2.parameters.approved.txt"
        );
}
