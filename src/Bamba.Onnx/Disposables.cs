namespace Bamba.Onnx;

/// <summary>What an object took over the course of its making, given back last first: at its end, or when its making fails half-way.</summary>
internal sealed class Disposables : IDisposable
{
    private readonly Stack<IDisposable> taken = new();

    /// <summary>Adds one more.</summary>
    public T Add<T>(T disposable)
        where T : IDisposable
    {
        taken.Push(disposable);
        return disposable;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (taken.TryPop(out IDisposable? disposable))
        {
            disposable.Dispose();
        }
    }
}
