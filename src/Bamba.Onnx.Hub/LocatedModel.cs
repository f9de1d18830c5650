namespace Bamba.Onnx.Hub;

/// <summary>Where a model lies.</summary>
/// <param name="Folder">The folder of its files.</param>
/// <param name="IsExported">Whether it is exported; else it is a checkpoint.</param>
/// <param name="Snapshot">The model of the hub, null for a folder of the user's own.</param>
public sealed record LocatedModel(string Folder, bool IsExported, HubSnapshot? Snapshot);
