// ONNX Runtime's own threads, for kernels on the processor.

#ifndef BAMBA_OPS_CPU_THREADS_H_
#define BAMBA_OPS_CPU_THREADS_H_

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

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_THREADS_H_
