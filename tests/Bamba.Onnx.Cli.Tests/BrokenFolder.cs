using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;
using Google.Protobuf;
using Google.Protobuf.Collections;

namespace Bamba.Onnx.Cli.Tests;

/// <summary>A model folder that a test breaks in one place.</summary>
internal sealed record BrokenFolder(string Path)
{
    /// <summary>Changes a graph.</summary>
    public void EditGraph(string file, Action<ModelProto> edit)
    {
        string path = this[file];
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        edit(model);
        File.WriteAllBytes(path, model.ToByteArray());
    }

    /// <summary>Changes an input or output of a graph.</summary>
    public void EditTensor(string file, string tensor, Action<TypeProto.Types.Tensor> edit) =>
        EditGraph(
            file,
            model =>
                edit(model.Graph.Input.Concat(model.Graph.Output).Single(value => value.Name == tensor).Type.TensorType)
        );

    /// <summary>Gives an input of a graph another name, to the nodes that read it as well.</summary>
    public void RenameInput(string file, string from, string to) =>
        EditGraph(file, model => Rename(model, model.Graph.Input.Single(input => input.Name == from), to));

    /// <summary>Gives an input or output another name, to its nodes as well.</summary>
    public static void Rename(ModelProto model, ValueInfoProto value, string to)
    {
        foreach (NodeProto node in model.Graph.Node)
        {
            Rename(node.Input, value.Name, to);
            Rename(node.Output, value.Name, to);
        }
        value.Name = to;
    }

    /// <summary>Lets a graph find its weights in another file.</summary>
    public void MoveWeights(string file, string location) =>
        EditGraph(
            file,
            model =>
            {
                foreach (TensorProto tensor in model.Graph.Initializer)
                {
                    tensor.ExternalData.Single(entry => entry.Key == "location").Value = location;
                }
            }
        );

    /// <summary>Changes a JSON file.</summary>
    public void EditJson(string file, Action<JsonObject> edit)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(this[file]))!.AsObject();
        edit(json);
        File.WriteAllText(this[file], json.ToJsonString());
    }

    public void Delete(string file) => File.Delete(this[file]);

    /// <summary>Lets the manifest tell of the files as they are now, as that of an exporter with the same mistake would.</summary>
    public void RewriteManifest()
    {
        var manifest = ModelManifest.Load(Path);
        (
            manifest with
            {
                Files =
                [
                    .. manifest
                        .Files.Where(file => File.Exists(this[file.Name]))
                        .Select(file =>
                        {
                            byte[] bytes = File.ReadAllBytes(this[file.Name]);
                            return new ManifestFile(
                                file.Name,
                                bytes.Length,
                                Convert.ToHexStringLower(SHA256.HashData(bytes))
                            );
                        }),
                ],
            }
        ).Save(Path);
    }

    public string this[string file] => System.IO.Path.Combine(Path, file);

    private static void Rename(RepeatedField<string> values, string from, string to)
    {
        for (int i = 0; i < values.Count; i++)
        {
            values[i] = values[i] == from ? to : values[i];
        }
    }
}
