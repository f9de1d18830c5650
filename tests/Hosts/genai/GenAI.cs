using System.Reflection;
using System.Runtime.InteropServices;

namespace Bamba.Onnx.Hosts.GenAI;

/// <summary>The functions of ONNX Runtime GenAI's C interface that generating tokens takes.</summary>
internal static partial class GenAI
{
    private const string Library = "onnxruntime-genai";

    private static string? path;

    /// <summary>
    /// Says where the library lies; the first who says so is heard. <c>libonnxruntime</c> has to lie beside it, or it ends the process.
    /// </summary>
    public static void Use(string library)
    {
        if (Interlocked.CompareExchange(ref path, library, null) is null)
        {
            NativeLibrary.SetDllImportResolver(
                Assembly.GetExecutingAssembly(),
                (name, _, _) => name == Library ? NativeLibrary.Load(path) : 0
            );
        }
    }

    /// <summary>Turns what a call returns, null or an error, into an exception.</summary>
    /// <exception cref="InvalidOperationException">The call failed.</exception>
    public static void Check(nint result)
    {
        if (result != 0)
        {
            string message = Marshal.PtrToStringUTF8(OgaResultGetError(result)) ?? "no message";
            OgaDestroyResult(result);
            throw new InvalidOperationException(message);
        }
    }

    [LibraryImport(Library)]
    public static partial nint OgaResultGetError(nint result);

    [LibraryImport(Library)]
    public static partial void OgaDestroyResult(nint result);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaCreateConfig(string folder, out nint config);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaConfigOverlay(nint config, string json);

    [LibraryImport(Library)]
    public static partial void OgaDestroyConfig(nint config);

    [LibraryImport(Library)]
    public static partial nint OgaCreateModelFromConfig(nint config, out nint model);

    [LibraryImport(Library)]
    public static partial void OgaDestroyModel(nint model);

    [LibraryImport(Library)]
    public static partial nint OgaCreateGeneratorParams(nint model, out nint parameters);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OgaGeneratorParamsSetSearchNumber(nint parameters, string name, double value);

    [LibraryImport(Library)]
    public static partial void OgaDestroyGeneratorParams(nint parameters);

    [LibraryImport(Library)]
    public static partial nint OgaCreateGenerator(nint model, nint parameters, out nint generator);

    [LibraryImport(Library)]
    public static partial void OgaDestroyGenerator(nint generator);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_AppendTokens(nint generator, ReadOnlySpan<int> ids, nuint count);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_AppendTokenSequences(nint generator, nint sequences);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_GenerateNextToken(nint generator);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_GetLogits(nint generator, out nint tensor);

    [LibraryImport(Library)]
    public static partial void OgaDestroyTensor(nint tensor);

    [LibraryImport(Library)]
    public static partial nuint OgaGenerator_GetSequenceCount(nint generator, nuint index);

    [LibraryImport(Library)]
    public static partial nint OgaGenerator_GetSequenceData(nint generator, nuint index);

    [LibraryImport(Library)]
    public static partial nint OgaCreateSequences(out nint sequences);

    [LibraryImport(Library)]
    public static partial nint OgaAppendTokenSequence(ReadOnlySpan<int> ids, nuint count, nint sequences);

    [LibraryImport(Library)]
    public static partial void OgaDestroySequences(nint sequences);
}
