namespace Bamba.Onnx.Contract;

/// <summary>Reads small files so that every failure names the file.</summary>
internal static class ContractFile
{
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
