// bamba::Mamba2ChunkScan on the processor.

#ifndef BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_
#define BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_

#include <cstddef>

#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "mamba2_chunk_scan.h"

namespace bamba::cpu {

// Bytes of scratch memory, aligned to 64, that a call needs.
size_t Mamba2WorkspaceBytes(const Mamba2Shape& shape);

// Computes the operator. Lengths and state rows must have been checked.
void Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                     const ThreadPool& pool, Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_MAMBA2_CHUNK_SCAN_CPU_H_
