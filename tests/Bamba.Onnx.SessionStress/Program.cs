using System.Globalization;
using Bamba.Onnx;
using Bamba.Onnx.SessionStress;
using Bamba.Onnx.Testing;

// A process of its own, so that the memory it reports is that of sessions alone: MODEL_FOLDER SESSIONS.
// The first half fills arenas and pools; what the second half adds is what sessions leave behind.
using BambaRuntime runtime = BambaRuntime.Load(args[0]);
int sessions = int.Parse(args[1], CultureInfo.InvariantCulture);
var use = new RandomUse(runtime);
for (int half = 0; half < 2; half++)
{
    use.Run(sessions, seed: half);
    using PrivateMemory memory = PrivateMemory.Watch();
    Console.WriteLine(memory.IdleBytes.ToString(CultureInfo.InvariantCulture));
}
