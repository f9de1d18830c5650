using System.Text;
using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>JSON as Python's json module writes it: bare NaN, Infinity and -Infinity are numbers.</summary>
internal static class PythonJson
{
    private static readonly (byte[] Token, byte[] Replacement)[] SpecialNumbers =
    [
        ("-Infinity"u8.ToArray(), "{\"__float__\":\"-Infinity\"}"u8.ToArray()),
        ("Infinity"u8.ToArray(), "{\"__float__\":\"Infinity\"}"u8.ToArray()),
        ("NaN"u8.ToArray(), "{\"__float__\":\"NaN\"}"u8.ToArray()),
    ];

    public static JsonDocument Parse(ReadOnlySpan<byte> json, string source)
    {
        if (json.StartsWith(Encoding.UTF8.Preamble))
        {
            json = json[Encoding.UTF8.Preamble.Length..];
        }
        return JsonFile.Parse(WithSpecialNumbersQuoted(json), source);
    }

    /// <summary>Rewrites the bare tokens outside strings to the form that transformers 5 writes, <c>{"__float__": …}</c>.</summary>
    private static byte[] WithSpecialNumbersQuoted(ReadOnlySpan<byte> json)
    {
        var result = new List<byte>(json.Length);
        bool inString = false;
        for (int i = 0; i < json.Length; i++)
        {
            byte c = json[i];
            if (inString && c == '\\' && i + 1 < json.Length)
            {
                result.Add(c);
                result.Add(json[++i]);
                continue;
            }
            if (c == '"')
            {
                inString = !inString;
            }
            if (!inString && TryReplace(json[i..], result, out int consumed))
            {
                i += consumed - 1;
                continue;
            }
            result.Add(c);
        }
        return [.. result];
    }

    private static bool TryReplace(ReadOnlySpan<byte> rest, List<byte> result, out int consumed)
    {
        foreach (var (token, replacement) in SpecialNumbers)
        {
            if (rest.StartsWith(token))
            {
                result.AddRange(replacement);
                consumed = token.Length;
                return true;
            }
        }
        consumed = 0;
        return false;
    }
}
