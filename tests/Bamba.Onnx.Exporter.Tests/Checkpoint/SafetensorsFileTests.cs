using System.Diagnostics;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class SafetensorsFileTests : IDisposable
{
    private const string GoodHeader = """{"t":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}""";

    private readonly TemporaryFolder folder = new();

    private string FilePath => folder["x.safetensors"];

    public void Dispose() => folder.Dispose();

    /// <summary>Header, bytes of data, and what the message says of it.</summary>
    public static TheoryData<string, int, string> BadHeaders =>
        new()
        {
            { """{"t":""", 0, "expected JSON" },
            { "[]", 0, "expected a JSON object as header, found []" },
            { """{"t":1}""", 0, "tensor t: expected dtype, shape and data_offsets, found 1" },
            { """{"t":{"dtype":"F32","shape":[1]}}""", 4, "tensor t: expected dtype, shape and data_offsets" },
            { Entry("F64", "[1]", "[0,8]"), 8, "tensor t: expected dtype F32, F16, BF16, I32 or I64, found \"F64\"" },
            { Entry("float", "[1]", "[0,4]"), 4, "found \"float\"" },
            {
                Entry("F32", "[-1]", "[0,4]"),
                4,
                "tensor t: expected integers that are not negative as shape, found -1"
            },
            { Entry("F32", "[1.5]", "[0,4]"), 4, "as shape, found 1.5" },
            { Entry("F32", "1", "[0,4]"), 4, "as shape, found 1" },
            { Entry("F32", "[1]", "[0]"), 4, "tensor t: expected data_offsets [start, end], found [0]" },
            { Entry("F32", "[1]", "[4,0]"), 4, "tensor t: expected data_offsets [start, end], found [4,0]" },
            { Entry("F32", "[1]", "[0,8]"), 8, "tensor t: expected 4 bytes for f32 [1], found 8" },
            { Entry("F32", "[2]", "[0,8]"), 4, "tensor t: expected data within the file's 4 bytes" },
            { Entry("F32", "[4294967296,4294967296]", "[0,4]"), 4, "tensor t: expected a size that fits the file" },
            { Entry("F32", "[4611686018427387905]", "[0,4]"), 4, "tensor t: expected a size that fits the file" },
            { Entry("F32", $"[{string.Join(",", Enumerable.Repeat(1, 65))}]", "[0,4]"), 4, "a list of at most 64" },
            { Entry("F32", "[1]", "[0,4]"), 8, "expected 4 bytes of tensors after the header, found 8" },
            { Entry("F32", "[1]", "[4,8]"), 8, "tensor t: its data leaves a gap after that of the header" },
            { Two("[0,4]", "[2,6]"), 6, "tensor b: its data overlaps that of a" },
            { Two("[0,4]", "[0,4]"), 4, "overlaps" },
            { Two("[0,4]", "[5,9]"), 9, "tensor b: its data leaves a gap after that of a" },
            {
                """{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""",
                8,
                "Duplicate"
            },
            { """{"t":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}""", 4, "Duplicate" },
        };

    [Theory]
    [MemberData(nameof(BadHeaders))]
    public void A_header_that_lies_is_refused(string header, int dataBytes, string problem)
    {
        File.WriteAllBytes(FilePath, RawSafetensors.Of(header, dataBytes));

        var error = Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(FilePath));

        Assert.StartsWith(FilePath, error.Message, StringComparison.Ordinal);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100_000_001ul)]
    [InlineData(1_000ul)]
    [InlineData(ulong.MaxValue)]
    public void A_header_length_past_the_file_or_the_format_is_refused(ulong headerBytes)
    {
        File.WriteAllBytes(FilePath, RawSafetensors.Of(Encoding.UTF8.GetBytes(GoodHeader), 24, headerBytes));

        var error = Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(FilePath));

        Assert.Contains($"found a length of {headerBytes}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_cut_anywhere_is_refused()
    {
        byte[] whole = RawSafetensors.Of(GoodHeader, 24);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(FilePath, whole[..length]);
            Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(FilePath));
        }
        File.WriteAllBytes(FilePath, whole);
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.Equal([2, 3], file.Tensors["t"].Shape);
    }

    [Fact]
    public void Damage_to_any_byte_of_the_header_is_refused_or_harmless_but_never_another_error()
    {
        byte[] whole = RawSafetensors.Of(Two("[0,4]", "[4,8]"), 8);
        var random = new Random(1);
        for (int i = 0; i < whole.Length - 8; i++)
        {
            foreach (byte value in (byte[])[0, (byte)'"', (byte)'\\', (byte)'9', 0x80, 0xFF, (byte)random.Next(256)])
            {
                byte[] damaged = [.. whole];
                damaged[i] = value;
                File.WriteAllBytes(FilePath, damaged);
                try
                {
                    using SafetensorsFile file = SafetensorsFile.Open(FilePath);
                    Assert.All(file.Tensors.Values, t => Assert.InRange(t.Offset + t.Bytes, 0, whole.Length));
                }
                catch (BambaFormatException e)
                {
                    Assert.Equal(FilePath, e.Path);
                }
            }
        }
    }

    [Theory]
    [InlineData(@"{""\ud800"":{""dtype"":""F32"",""shape"":[1],""data_offsets"":[0,4]}}")]
    [InlineData(@"{""t"":{""dtype"":""\ud800"",""shape"":[1],""data_offsets"":[0,4]}}")]
    public void Text_that_is_not_Unicode_is_refused(string header)
    {
        File.WriteAllBytes(FilePath, RawSafetensors.Of(header, 4));

        Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(FilePath));
    }

    [Fact]
    public void Scalars_and_empty_tensors_are_read()
    {
        RawSafetensors.Write(
            FilePath,
            ("scalar", ElementType.Float32, []),
            ("empty", ElementType.Float16, [3, 0, 9223372036854775807]),
            ("last", ElementType.Int64, [1])
        );

        using SafetensorsFile file = SafetensorsFile.Open(FilePath);

        Assert.Equal(4, file.Tensors["scalar"].Bytes);
        Assert.Equal(0, file.Tensors["empty"].Bytes);
        byte[] bytes = new byte[8];
        file.Read(file.Tensors["last"], 0, bytes);
        Assert.Equal(RawSafetensors.Counting(8), bytes);
    }

    [Fact]
    public void Reads_start_anywhere_in_a_tensor_and_end_in_it()
    {
        RawSafetensors.Write(FilePath, ("a", ElementType.Float32, [5]), ("b", ElementType.Float32, [2, 3]));
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        SafetensorsTensor tensor = file.Tensors["b"];

        byte[] middle = new byte[5];
        file.Read(tensor, 7, middle);

        Assert.Equal([8, 9, 10, 11, 12], middle);
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(tensor, 20, middle));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(tensor, -1, middle));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(tensor, long.MaxValue, middle));
    }

    [Fact]
    public void A_file_that_shrinks_after_opening_is_an_error_that_names_the_tensor()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs the truncate program");
        RawSafetensors.Write(FilePath, ("t", ElementType.Float32, [2, 3]));
        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        // Within this process the open handle forbids it.
        using (Process truncate = Process.Start("truncate", ["--size=-1", FilePath]))
        {
            truncate.WaitForExit();
            Assert.Equal(0, truncate.ExitCode);
        }

        var error = Assert.Throws<BambaFormatException>(() => file.Read(file.Tensors["t"], 0, new byte[24]));

        Assert.Contains("t: the file ends at byte", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_and_a_folder_are_refused()
    {
        var missing = Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(FilePath));
        Assert.EndsWith("no such file", missing.Message, StringComparison.Ordinal);
        Assert.Throws<BambaFormatException>(() => SafetensorsFile.Open(folder.Path));
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("expected.safetensors")]
    public void Files_that_Hugging_Face_wrote_are_read(string name)
    {
        foreach (string reference in TestData.CaseNames)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(TestData.Case(reference), name));
            Assert.NotEmpty(file.Tensors);
        }
    }

    private static string Entry(string dtype, string shape, string offsets) =>
        "{" + Tensor("t", dtype, shape, offsets) + "}";

    private static string Two(string first, string second) =>
        "{" + Tensor("a", "F32", "[1]", first) + "," + Tensor("b", "F32", "[1]", second) + "}";

    private static string Tensor(string name, string dtype, string shape, string offsets) =>
        $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}";
}
