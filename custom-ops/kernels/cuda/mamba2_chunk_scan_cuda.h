// bamba::Mamba2ChunkScan on a CUDA device of compute capability 8.0 or newer.

#ifndef BAMBA_KERNELS_CUDA_MAMBA2_CHUNK_SCAN_CUDA_H_
#define BAMBA_KERNELS_CUDA_MAMBA2_CHUNK_SCAN_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstddef>

#include "device.h"
#include "mamba2_chunk_scan.h"

namespace bamba::cuda {

// Bytes of scratch device memory, aligned to 256, that a call needs. Its content does not matter.
size_t Mamba2WorkspaceBytes(const Mamba2Shape& shape, const Device& device);

// Queues the operator on the stream: no allocation, no synchronization, no copy from or to the
// host, so that a CUDA graph can hold it. Every pointer of tensors is device memory.
cudaError_t Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                            const Device& device, cudaStream_t stream);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_MAMBA2_CHUNK_SCAN_CUDA_H_
