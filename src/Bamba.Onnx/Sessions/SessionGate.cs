namespace Bamba.Onnx.Sessions;

/// <summary>
/// Lets one call at a time into a session, and frees what the session owns: at once when it is disposed, or, when that happens
/// during a call of another thread, at that call's end, which is then asked to come soon.
/// </summary>
/// <param name="stop">Asks the call that runs to end. Never called once what the session owns is being freed.</param>
/// <param name="free">Frees it. Called once.</param>
internal sealed class SessionGate(Action stop, Action free)
{
    private readonly Lock change = new();
    private bool busy;
    private volatile bool disposed;

    /// <summary>Whether the session was disposed, though a call may still run.</summary>
    public bool IsDisposed => disposed;

    /// <summary>Begins a call, which ends when what comes back is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The session was disposed.</exception>
    /// <exception cref="InvalidOperationException">A call of another thread runs.</exception>
    public Call Enter()
    {
        lock (change)
        {
            ObjectDisposedException.ThrowIf(disposed, typeof(BambaSession));
            if (busy)
            {
                throw new InvalidOperationException(
                    "expected one call of a session at a time, found another thread in one: give each thread a session of its own"
                );
            }
            busy = true;
        }
        return new Call(this);
    }

    /// <summary>Disposes the session, once.</summary>
    public void Dispose()
    {
        lock (change)
        {
            if (disposed)
            {
                return;
            }
            disposed = true;
            if (busy)
            {
                stop();
                return;
            }
        }
        free();
    }

    private void Exit()
    {
        lock (change)
        {
            busy = false;
            if (!disposed)
            {
                return;
            }
        }
        free();
    }

    /// <summary>A call that runs.</summary>
    public readonly ref struct Call(SessionGate gate)
    {
        /// <summary>Ends it.</summary>
        public void Dispose() => gate.Exit();
    }
}
