using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.Exporter.Tests.Weights;

public sealed class MatrixTransposeTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 70)]
    [InlineData(70, 1)]
    [InlineData(32, 32)]
    [InlineData(31, 33)]
    [InlineData(65, 100)]
    [InlineData(0, 5)]
    [InlineData(5, 0)]
    public void Every_element_lands_at_its_mirrored_place(int rows, int columns)
    {
        uint[] source = [.. Enumerable.Range(0, rows * columns).Select(i => (uint)i)];
        var destination = new uint[source.Length];

        MatrixTranspose.Transpose<uint>(source, rows, columns, destination);

        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                Assert.Equal(source[(row * columns) + column], destination[(column * rows) + row]);
            }
        }
    }
}
