using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>Reads the JSON files of a model folder so that every failure names the file.</summary>
internal static class JsonFile
{
    public static JsonDocument Read(string path) => Parse(ReadAllBytes(path), path);

    public static JsonDocument Parse(ReadOnlyMemory<byte> json, string source)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(source, $"is not JSON: {e.Message}", e);
        }
    }

    public static byte[] ReadAllBytes(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BambaFormatException(path, "no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BambaFormatException(path, $"cannot be read: {e.Message}", e);
        }
    }
}
