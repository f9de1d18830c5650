namespace Bamba.Onnx.Hub;

/// <summary>Where models are kept and where they come from, by the variables that Hugging Face's tools read too.</summary>
public sealed record HubSettings
{
    /// <summary>The folder of kept exports.</summary>
    public const string ExportCacheVariable = "BAMBA_ONNX_CACHE";

    /// <summary>Hugging Face's public hub.</summary>
    public static Uri PublicEndpoint { get; } = new("https://huggingface.co");

    /// <summary>The settings of a user who set no variable.</summary>
    public static HubSettings Default { get; } = From(_ => null);

    /// <summary>Hugging Face's cache: <c>HF_HUB_CACHE</c>, else <c>hub</c> in Hugging Face's home.</summary>
    public required string HubCacheFolder { get; init; }

    /// <summary>The exports that were made on the way: <c>BAMBA_ONNX_CACHE</c>, else a folder of the user's cache.</summary>
    public required string ExportCacheFolder { get; init; }

    /// <summary>The file that <c>hf auth login</c> writes: <c>HF_TOKEN_PATH</c>, else <c>token</c> in Hugging Face's home.</summary>
    public required string TokenFile { get; init; }

    /// <summary>The token that goes before the file: <c>HF_TOKEN</c>.</summary>
    public string? Token { get; init; }

    /// <summary>The hub: <c>HF_ENDPOINT</c>, else Hugging Face's own.</summary>
    public Uri Endpoint { get; init; } = PublicEndpoint;

    /// <summary>Whether the network is forbidden: <c>HF_HUB_OFFLINE</c>.</summary>
    public bool Offline { get; init; }

    /// <summary>Settings by variables; an empty one counts as none.</summary>
    /// <param name="variable">The value of a variable, null where it is not set.</param>
    /// <exception cref="ArgumentException"><c>HF_ENDPOINT</c> is no address of the web.</exception>
    public static HubSettings From(Func<string, string?> variable)
    {
        ArgumentNullException.ThrowIfNull(variable);
        string user = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        string? cache = Value("XDG_CACHE_HOME");
        string home = Folder("HF_HOME") ?? Path.Combine(cache ?? Path.Combine(user, ".cache"), "huggingface");
        string exports =
            cache
            ?? (
                OperatingSystem.IsWindows()
                    ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                    : Path.Combine(user, ".cache")
            );
        return new HubSettings
        {
            HubCacheFolder = Folder("HF_HUB_CACHE") ?? Path.Combine(home, "hub"),
            ExportCacheFolder = Folder(ExportCacheVariable) ?? Path.Combine(exports, "bamba-onnx", "models"),
            TokenFile = Folder("HF_TOKEN_PATH") ?? Path.Combine(home, "token"),
            Token = Value("HF_TOKEN"),
            Endpoint = Value("HF_ENDPOINT") is { } endpoint ? EndpointOf(endpoint) : PublicEndpoint,
            Offline = Value("HF_HUB_OFFLINE")?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE",
        };

        string? Value(string name) => variable(name)?.Trim() is { Length: > 0 } value ? value : null;

        string? Folder(string name) =>
            Value(name) is { } value
                ? value == "~" || value.StartsWith("~/", StringComparison.Ordinal)
                    ? Path.Join(user, value.AsSpan(1))
                    : value
                : null;
    }

    /// <summary>The token: the variable's, else the file's, else none.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public string? ReadToken() =>
        Token ?? (File.Exists(TokenFile) && File.ReadAllText(TokenFile).Trim() is { Length: > 0 } token ? token : null);

    /// <summary>The places and the hub; a token has no business in logs.</summary>
    public override string ToString() =>
        $"{Endpoint}{(Offline ? " (offline)" : "")}, {HubCacheFolder}, {ExportCacheFolder}";

    private static Uri EndpointOf(string text) =>
        Uri.TryCreate(text.TrimEnd('/'), UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https"
            ? uri
            : throw new ArgumentException($"HF_ENDPOINT: expected an address such as {PublicEndpoint}, found '{text}'");
}
