using Bamba.Onnx.Cli.Tracing;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class RunTraceTests
{
    /// <summary>
    /// A profile as a session on the CUDA provider leaves one, shortened: nodes on the device, nodes that compute shapes on the
    /// processor, copies that ONNX Runtime put in, and, where it was built to ask the device, kernels beside the nodes.
    /// </summary>
    internal const string OfCuda = """
        [
        {"cat" : "Session","pid" :7,"tid" :7,"dur" :5000,"ts" :3,"ph" : "X","name" :"model_loading_uri","args" : {}},
        {"cat" : "Session","pid" :7,"tid" :7,"dur" :90000,"ts" :5003,"ph" : "X","name" :"session_initialization","args" : {}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :1,"ts" :100000,"ph" : "X","name" :"/model/Gather_fence_before","args" : {"op_name" : "Gather"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :40,"ts" :100002,"ph" : "X","name" :"/model/Gather_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "Gather","node_index" : "3","parameter_size" : "81920","input_type_shape" : [{"float16":[320,64]},{"int64":[1,4]}],"output_type_shape" : [{"float16":[1,4,64]}],"thread_scheduling_stats" : ""}},
        {"cat" : "Kernel","pid" :-1,"tid" :-1,"dur" :300,"ts" :100020,"ph" : "X","name" :"_GatherKernel","args" : {"op_name" : "Gather","stream" : "13","block_x" : "256","grid_x" : "1"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :100,"ts" :100042,"ph" : "X","name" :"/model/layers.0/mamba/Mamba2ChunkScan_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "Mamba2ChunkScan","node_index" : "9"}},
        {"cat" : "Kernel","pid" :-1,"tid" :-1,"dur" :500,"ts" :100320,"ph" : "X","name" :"void bamba::chunk_scan<__half>","args" : {"op_name" : "Mamba2ChunkScan","stream" : "13"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :5,"ts" :100142,"ph" : "X","name" :"Memcpy_token_2_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "MemcpyToHost","node_index" : "41"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :0,"ts" :100147,"ph" : "X","name" :"/model/layers.1/self_attn/Shape_kernel_time","args" : {"provider" : "CPUExecutionProvider","op_name" : "Shape","node_index" : "12"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :60,"ts" :100148,"ph" : "X","name" :"/model/layers.1/self_attn/GroupQueryAttention_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "GroupQueryAttention","node_index" : "14"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :35,"ts" :100210,"ph" : "X","name" :"/lm_head/MatMul_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "MatMul","node_index" : "20"}},
        {"cat" : "Node","pid" :7,"tid" :7,"dur" :0,"ts" :100245,"ph" : "X","name" :"/Cast_kernel_time","args" : {"provider" : "CUDAExecutionProvider","op_name" : "Cast","node_index" : "21"}},
        {"cat" : "Session","pid" :7,"tid" :7,"dur" :250,"ts" :99999,"ph" : "X","name" :"SequentialExecutor::Execute","args" : {}},
        {"cat" : "Session","pid" :7,"tid" :7,"dur" :600,"ts" :99990,"ph" : "X","name" :"model_run","args" : {}},
        {"cat" : "Session","pid" :7,"tid" :7,"dur" :300,"ts" :101000,"ph" : "X","name" :"model_run","args" : {}}
        ]
        """;

    [Fact]
    public void Nodes_of_a_device_count_as_those_of_the_processor_do_and_kernels_and_fences_do_not()
    {
        RunTrace trace = Read(OfCuda);
        Assert.Equal(
            [
                ("Mamba2ChunkScan", 1, 100),
                ("GroupQueryAttention", 1, 60),
                ("Gather", 1, 40),
                ("MatMul", 1, 35),
                ("MemcpyToHost", 1, 5),
                ("Cast", 1, 0),
                ("Shape", 1, 0),
            ],
            trace
                .Kinds.OrderBy(kind => (-kind.Time, kind.Name))
                .Select(kind => (kind.Name, kind.Nodes, (int)kind.Time.TotalMicroseconds))
        );
        Assert.Equal((2, 900.0, 240.0), (trace.Runs, trace.Time.TotalMicroseconds, trace.NodeTime.TotalMicroseconds));
        // The copy has no path for a name and serves the layer before.
        Assert.Equal([(0, 105.0), (1, 60.0)], trace.Layers.Select(layer => (layer.Key, layer.Value.TotalMicroseconds)));
        Assert.Equal(75, trace.OutsideLayers.TotalMicroseconds);
        Assert.True(trace.HasLaunches);
    }

    [Fact]
    public void On_the_processor_nothing_is_launched() =>
        Assert.False(
            Read(OfCuda.Replace("CUDAExecutionProvider", "CPUExecutionProvider", StringComparison.Ordinal)).HasLaunches
        );

    [Fact]
    public void Nodes_inside_of_another_are_its_time_and_those_behind_it_their_own()
    {
        RunTrace trace = Read(
            """
            [{"cat": "Session", "name": "model_run", "ts": 0, "dur": 30},
             {"cat": "Node", "name": "/model/layers.0/Scan_kernel_time", "ts": 1, "dur": 9, "args": {"op_name": "Scan"}},
             {"cat": "Node", "name": "/model/layers.0/inner/Mul_kernel_time", "ts": 2, "dur": 3, "args": {"op_name": "Mul"}},
             {"cat": "Node", "name": "/model/layers.0/Add_kernel_time", "ts": 10, "dur": 0, "args": {"op_name": "Add"}}]
            """
        );
        Assert.Equal([("Scan", 1), ("Add", 1)], trace.Kinds.Select(kind => (kind.Name, kind.Nodes)));
    }

    private static RunTrace Read(string profile)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["trace.json"], profile);
        return RunTrace.Read(folder["trace.json"]);
    }
}
