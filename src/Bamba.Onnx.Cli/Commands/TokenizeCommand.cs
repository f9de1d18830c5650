using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using Bamba.Onnx.Hub;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx tokenize MODEL</c>: a JSON value a line in, one out.</summary>
internal static class TokenizeCommand
{
    private static readonly JsonWriterOptions Readable = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static Command Create(CliConsole console)
    {
        var model = ModelArguments.Required(
            console,
            kinds: "A folder with a tokenizer.json, or a Hugging Face id: owner/name[@revision]."
        );
        var decode = new Option<bool>("--decode")
        {
            Description = "Turn JSON arrays of ids into JSON strings instead of JSON strings into ids.",
        };
        var command = new Command("tokenize", "Turn text into token ids or back, a JSON value a line.") { decode };
        model.AddTo(command);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                LocatedModel located = await ModelSource
                    .LocateAsync(console, model.Read(parsed), HubContent.WithoutWeights, cancellationToken)
                    .ConfigureAwait(false);
                BambaTokenizer tokenizer = BambaTokenizer.Load(located.Folder);
                bool decoding = parsed.GetValue(decode);
                int number = 0;
                while (await console.In.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
                {
                    number++;
                    if (line.Length > 0)
                    {
                        string answer = decoding ? Decode(tokenizer, line, number) : Encode(tokenizer, line, number);
                        await console.Out.WriteLineAsync(answer).ConfigureAwait(false);
                    }
                }
                return ExitCode.Success;
            }
        );
        return command;
    }

    private static string Encode(BambaTokenizer tokenizer, string line, int number)
    {
        string text = Read(line, number, "a JSON string", json => json.GetString()!);
        return Write(writer =>
        {
            writer.WriteStartObject();
            WriteIds(writer, "ids", tokenizer.Encode(text));
            WriteIds(writer, "ids_without_special", tokenizer.Encode(text, addSpecialTokens: false));
            writer.WriteEndObject();
        });
    }

    private static string Decode(BambaTokenizer tokenizer, string line, int number)
    {
        int[] ids = Read(
            line,
            number,
            "a JSON array of ids",
            json => json.EnumerateArray().Select(id => id.GetInt32()).ToArray()
        );
        return Write(writer => writer.WriteStringValue(tokenizer.Decode(ids, skipSpecialTokens: false)));
    }

    private static T Read<T>(string line, int number, string expected, Func<JsonElement, T> read)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Null
                ? throw new FormatException()
                : read(json.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ArgumentException($"line {number} of standard input: expected {expected}, found {line}", e);
        }
    }

    private static void WriteIds(Utf8JsonWriter writer, string name, IEnumerable<int> ids)
    {
        writer.WriteStartArray(name);
        foreach (int id in ids)
        {
            writer.WriteNumberValue(id);
        }
        writer.WriteEndArray();
    }

    private static string Write(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, Readable))
        {
            write(writer);
        }
        return System.Text.Encoding.UTF8.GetString(stream.ToArray());
    }
}
