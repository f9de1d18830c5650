// bamba::Mamba2ChunkScan on the processor.

#ifndef BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_
#define BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_

#include <cstddef>

#include "mamba2_chunk_scan.h"

namespace bamba::cpu {

// The instruction sets that kernels are written for.
enum class Isa { kPlain, kAvx2, kAvx512 };

// The best of them that this processor has.
Isa BestIsa();

// "plain", "avx2" or "avx512".
const char* IsaName(Isa isa);

// The host's own threads: run calls task(context, i) once for each i below count, in any order and
// at the same time, and returns when all are done.
struct ThreadPool {
  void* self = nullptr;
  void (*run)(void* self, size_t count, void (*task)(void* context, size_t index),
              void* context) = nullptr;
  int threads = 1;
};

// Bytes of scratch memory, aligned to 64, that a call needs.
size_t Mamba2WorkspaceBytes(const Mamba2Shape& shape);

// Computes the operator. Lengths and state rows must have been checked.
void Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                     const ThreadPool& pool, Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_
