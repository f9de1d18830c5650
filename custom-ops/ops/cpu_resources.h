// ONNX Runtime's own threads and memory, for kernels on the processor.

#ifndef BAMBA_OPS_CPU_RESOURCES_H_
#define BAMBA_OPS_CPU_RESOURCES_H_

#include "cpu/thread_pool.h"
#include "ort.h"

namespace bamba::ops {

// The threads of a call. How many there are it does not say; with one, it runs the tasks here.
inline cpu::ThreadPool ThreadsOf(const Ort::KernelContext& context) {
  cpu::ThreadPool pool;
  pool.self = const_cast<Ort::KernelContext*>(&context);
  pool.threads = 2;
  pool.run = [](void* self, size_t count, void (*task)(void*, size_t), void* task_context) {
    static_cast<Ort::KernelContext*>(self)->ParallelFor(task, count, 0, task_context);
  };
  return pool;
}

// Scratch memory of a call, from ONNX Runtime's arena.
class Workspace {
 public:
  Workspace(const Ort::KernelContext& context, size_t bytes)
      : allocator_(context.GetAllocator(CpuMemory())), memory_(allocator_.GetAllocation(bytes)) {}

  void* data() { return memory_.get(); }

 private:
  static const OrtMemoryInfo& CpuMemory() {
    static const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    return *static_cast<const OrtMemoryInfo*>(memory);
  }

  Ort::Allocator allocator_;
  Ort::MemoryAllocation memory_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_RESOURCES_H_
