using System.Runtime.InteropServices;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// Chooses tokens where the scores are, and lets them feed the next step there: a step and its choice are one recorded graph. The
/// processor learns a step's tokens when it asks, from memory that the device writes to.
/// </summary>
internal sealed unsafe class DeviceSampler : IDisposable
{
    /// <summary>Most tokens that end a text; more are chosen on the processor.</summary>
    public const int MostEndTokens = 64;

    // Steps whose tokens the processor may not have read yet, and one more.
    private const int Ring = 4;
    private const int NoToken = -1;

    private readonly CudaDevice device;
    private readonly SamplingLibrary library;
    private readonly CallBuffers buffers;
    private readonly CudaGraphRunner runner;
    private readonly int rows;
    private readonly Disposables owned = new();
    private readonly MemoryBlock options;
    private readonly MemoryBlock endTokens;
    private readonly StagingMemory emitted;
    private readonly nint[] done = new nint[Ring];
    private readonly int[] start;
    private SamplingStep choice;
    private CudaGraph? step;
    private int queued;
    private int taken;

    public DeviceSampler(
        CudaDevice device,
        SamplingLibrary library,
        CallBuffers buffers,
        CudaGraphRunner runner,
        int rows,
        int vocabSize
    )
    {
        this.device = device;
        this.library = library;
        this.buffers = buffers;
        this.runner = runner;
        this.rows = rows;
        start = new int[rows];
        try
        {
            options = owned.Add(device.Allocate((long)rows * sizeof(SamplingRow)));
            endTokens = owned.Add(device.Allocate(MostEndTokens * sizeof(int)));
            emitted = owned.Add(device.AllocateStaging((long)Ring * rows * sizeof(int)));
            MemoryBlock workspace = owned.Add(device.Allocate(library.WorkspaceBytes(rows, vocabSize)));
            for (int i = 0; i < Ring; i++)
            {
                CudaDevice.Check(CudaDriver.EventCreate(out done[i], CudaDriver.DisableTiming), "an event");
            }
            choice = new SamplingStep
            {
                Logits = buffers.Logits.Address,
                Options = options.Address,
                EndTokens = endTokens.Address,
                EndTokenCount = MostEndTokens,
                Rows = rows,
                VocabSize = vocabSize,
                PastLens = buffers.PastLens.Address,
                SeqLens = buffers.SeqLens.Address,
                NextTokens = buffers.Tokens.Address,
                Emitted = emitted.Address,
                Ring = Ring,
                Workspace = workspace.Address,
            };
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Steps that were queued since <see cref="Begin"/>, the choice from the scores that were there not counted.</summary>
    public int Steps => Math.Max(queued - 1, 0);

    /// <summary>Begins with the scores that each row has.</summary>
    /// <param name="rowOptions">How each row chooses; of a row that rests it does not matter.</param>
    /// <param name="ends">The tokens that end a row, at most <see cref="MostEndTokens"/>.</param>
    /// <param name="resting">Rows that take no part.</param>
    public void Begin(ReadOnlySpan<SamplingRow> rowOptions, ReadOnlySpan<int> ends, ReadOnlySpan<bool> resting)
    {
        Span<int> padded = stackalloc int[MostEndTokens];
        padded.Fill(NoToken);
        ends.CopyTo(padded);
        options.Write(new Region(0, options.Bytes), MemoryMarshal.AsBytes(rowOptions));
        endTokens.Write(new Region(0, endTokens.Bytes), MemoryMarshal.AsBytes(padded));
        for (int row = 0; row < rows; row++)
        {
            start[row] = buffers.PastLens.Span[row];
            buffers.SeqLens.Span[row] = resting[row] ? 0 : 1;
        }
        buffers.PastLens.Upload(0, rows);
        buffers.SeqLens.Upload(0, rows);
        device.Synchronize();
        Slots.Fill(NoToken);
        queued = 0;
        taken = 0;
    }

    /// <summary>Lets a row rest from the next step that is queued on.</summary>
    public void Rest(int row)
    {
        buffers.SeqLens.Span[row] = 0;
        buffers.SeqLens.Upload(row, 1);
    }

    /// <summary>Queues steps until <paramref name="ahead"/> are on their way beyond the one whose tokens are taken next.</summary>
    public void Queue(int ahead)
    {
        lock (device.Queue)
        {
            device.Enter();
            while (queued <= taken + ahead)
            {
                if (queued == 0)
                {
                    library.Run(choice, device);
                }
                else
                {
                    QueueStep();
                }
                CudaDevice.Check(CudaDriver.EventRecord(done[queued % Ring], device.Stream), "an event");
                queued++;
            }
        }
    }

    /// <summary>Waits for the next step's tokens: one a row, or none of a row that rests.</summary>
    public void Take(Span<int> tokens)
    {
        device.Enter();
        CudaDevice.Check(CudaDriver.EventSynchronize(done[taken % Ring]), "a step");
        for (int row = 0; row < rows; row++)
        {
            ref int slot = ref Slots[((start[row] + taken) % Ring * rows) + row];
            tokens[row] = Volatile.Read(ref slot);
            slot = NoToken;
        }
        taken++;
    }

    /// <summary>Waits for all steps and tells how many tokens each row has.</summary>
    public void End(Span<int> lengths)
    {
        device.Synchronize();
        buffers.PastLens.Download(0, rows);
        buffers.PastLens.Span.CopyTo(lengths);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        step?.Dispose();
        foreach (nint created in done)
        {
            if (created != 0)
            {
                _ = CudaDriver.EventDestroy(created);
            }
        }
        owned.Dispose();
    }

    private Span<int> Slots => new((void*)emitted.Address, Ring * rows);

    private void QueueStep()
    {
        SamplingStep advancing = choice;
        advancing.Advance = 1;
        if (step is null && runner.IsWarm)
        {
            step = runner.TryRecordStep(() => library.Run(advancing, device));
        }
        if (step is not null)
        {
            step.Launch();
            return;
        }
        runner.QueueStepKernels();
        library.Run(advancing, device);
    }
}
