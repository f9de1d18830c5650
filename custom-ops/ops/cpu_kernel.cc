#include "cpu_kernel.h"

#include "attributes.h"
#include "cpu/mamba2_chunk_scan_cpu.h"
#include "inputs.h"

namespace bamba::ops {
namespace {

// ONNX Runtime's own threads. How many there are it does not say; with one, it runs the tasks here.
cpu::ThreadPool ThreadsOf(const Ort::KernelContext& context) {
  cpu::ThreadPool pool;
  pool.self = const_cast<Ort::KernelContext*>(&context);
  pool.threads = 2;
  pool.run = [](void* self, size_t count, void (*task)(void*, size_t), void* task_context) {
    static_cast<Ort::KernelContext*>(self)->ParallelFor(task, count, 0, task_context);
  };
  return pool;
}

}  // namespace

CpuKernel::CpuKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadAttributes(info)), type_(type) {}

OrtStatusPtr CpuKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    Inputs inputs(context, attributes_, type_);
    inputs.CheckLengths();
    TakeOutputs(context, inputs);
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Allocator allocator = context.GetAllocator(*static_cast<const OrtMemoryInfo*>(memory));
    auto workspace = allocator.GetAllocation(cpu::Mamba2WorkspaceBytes(inputs.shape));
    static const cpu::Isa isa = cpu::BestIsa();
    cpu::Mamba2ChunkScan(inputs.shape, inputs.tensors, workspace.get(), ThreadsOf(context), isa);
  });
}

}  // namespace bamba::ops
