using System.Globalization;
using Bamba.Onnx;
using Bamba.Onnx.SessionStress;
using Bamba.Onnx.Testing;

// A process of its own, so that the memory it reports is that of sessions alone: MODEL_FOLDER SESSIONS.
// The first rounds fill arenas and pools; what the last adds is what sessions leave behind.
const int Rounds = 3;
using BambaRuntime runtime = BambaRuntime.Load(args[0], new BambaRuntimeOptions { Threads = 1 });
int sessions = int.Parse(args[1], CultureInfo.InvariantCulture);
var use = new RandomUse(runtime);
for (int round = 0; round < Rounds; round++)
{
    use.Run(sessions, seed: round);
    using PrivateMemory memory = PrivateMemory.Watch();
    Console.WriteLine(memory.IdleBytes.ToString(CultureInfo.InvariantCulture));
}
