// The host's threads, as kernels use them.

#ifndef BAMBA_KERNELS_CPU_THREAD_POOL_H_
#define BAMBA_KERNELS_CPU_THREAD_POOL_H_

#include <cstddef>
#include <cstdint>

namespace bamba::cpu {

// The host's own threads: run calls task(context, i) once for each i below count, in any order and
// at the same time, and returns when all are done.
struct ThreadPool {
  void* self = nullptr;
  void (*run)(void* self, size_t count, void (*task)(void* context, size_t index),
              void* context) = nullptr;
  int threads = 1;
};

// Calls task(i) once for each i below count, on a pool's threads, or here where there are none.
template <typename Task>
void Run(const ThreadPool* pool, int64_t count, Task task) {
  if (pool == nullptr || pool->threads <= 1 || count <= 1) {
    for (int64_t i = 0; i < count; ++i) {
      task(i);
    }
    return;
  }
  pool->run(
      pool->self, static_cast<size_t>(count),
      [](void* context, size_t index) {
        (*static_cast<Task*>(context))(static_cast<int64_t>(index));
      },
      &task);
}

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_THREAD_POOL_H_
