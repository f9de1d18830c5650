namespace Bamba.Onnx.Hub.Transfer;

/// <summary>What is asked of the hub, so that an error can say it.</summary>
/// <param name="Id">The model at the revision that the user gave.</param>
/// <param name="File">The file, null for the list of files.</param>
/// <param name="Uri">Where it is.</param>
/// <param name="HasToken">Whether the user has a token.</param>
internal sealed record HubRequest(HubModelId Id, string? File, Uri Uri, bool HasToken)
{
    /// <summary>The hub; where a redirect leads is nothing that a user has chosen, and may hold a signature.</summary>
    public string Host => Uri.Authority;

    public string What => File is null ? Id.ToString() : $"{Id}: {File}";

    public required string ModelPage { get; init; }
}
