using System.Runtime.CompilerServices;

namespace Bamba.Onnx.Generation;

/// <summary>
/// Awaited, it takes an async method to the thread pool, unless it is there already: a token's work belongs on no thread that
/// draws a window. One can be awaited again and again and allocates nothing.
/// </summary>
internal sealed class ThreadPoolSwitch : ICriticalNotifyCompletion, IThreadPoolWorkItem
{
    private Action? continuation;

    public bool IsCompleted => Thread.CurrentThread.IsThreadPoolThread && SynchronizationContext.Current is null;

    public ThreadPoolSwitch GetAwaiter() => this;

    public void GetResult() { }

    public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

    public void UnsafeOnCompleted(Action continuation)
    {
        this.continuation = continuation;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
    }

    void IThreadPoolWorkItem.Execute()
    {
        Action next = continuation!;
        continuation = null;
        next();
    }
}
