namespace Bamba.Onnx.Cli.Conversation;

/// <summary>
/// Ctrl+C: it cancels what goes on now and nothing that begins later, so that an answer can be stopped and the program goes on.
/// </summary>
internal sealed class Interrupts : IDisposable
{
    private readonly Lock change = new();
    private readonly CancellationToken everything;
    private readonly IDisposable registration;
    private CancellationTokenSource current;

    /// <param name="console">Where Ctrl+C is pressed.</param>
    /// <param name="everything">Cancels whatever goes on.</param>
    public Interrupts(CliConsole console, CancellationToken everything)
    {
        this.everything = everything;
        current = CancellationTokenSource.CreateLinkedTokenSource(everything);
        registration = console.OnInterrupt(Interrupt);
    }

    /// <summary>What cancels what goes on now.</summary>
    public CancellationToken Token
    {
        get
        {
            lock (change)
            {
                return current.Token;
            }
        }
    }

    /// <summary>Begins something else, that earlier interrupts do not concern.</summary>
    /// <exception cref="OperationCanceledException">Everything was cancelled.</exception>
    public CancellationToken Next()
    {
        everything.ThrowIfCancellationRequested();
        lock (change)
        {
            current.Dispose();
            current = CancellationTokenSource.CreateLinkedTokenSource(everything);
            return current.Token;
        }
    }

    public void Dispose()
    {
        registration.Dispose();
        lock (change)
        {
            current.Dispose();
        }
    }

    private void Interrupt()
    {
        lock (change)
        {
            // What was waiting goes on elsewhere, not in here.
            _ = current.CancelAsync();
        }
    }
}
