// The stages that mamba2_chunk_scan_cuda.cu composes into the operator. Each queues its kernels on
// the stream.

#ifndef BAMBA_KERNELS_CUDA_STAGES_CUH_
#define BAMBA_KERNELS_CUDA_STAGES_CUH_

#include <cuda_runtime.h>

#include <cstddef>

#include "mamba2_chunk_scan_cuda.h"
#include "sequences.cuh"

namespace bamba::cuda {

// gated_norm.cu: y from r.
// `gated` is r = v * silu(z), [B, L, E], float32; what it holds of tokens that are not real does
// not matter.
template <typename T>
cudaError_t GatedNorm(const Call& call, const float* gated, const Device& device,
                      cudaStream_t stream);

// pass_through.cu: carries the state rows that no packed sequence owns from past to present.
cudaError_t PassThrough(const Call& call, cudaStream_t stream);

// portable_scan.cu: any shape and type. Writes states and r.
size_t PortableScanBytes(const Mamba2Shape& shape);
template <typename T>
cudaError_t PortableScan(const Call& call, void* scratch, float* gated, const Device& device,
                         cudaStream_t stream);

// step.cu: one token a row, not packed. Writes states and y; `gated` is scratch, [B, 1, E] and
// StepBytes behind it.
size_t StepBytes(const Mamba2Shape& shape);
template <typename T>
cudaError_t Step(const Call& call, float* gated, const Device& device, cudaStream_t stream);

// hopper_scan.cu: 16-bit types, heads of 64, state of 128, on compute capability 9.0. Writes states
// and y.
bool HopperScanFits(const Mamba2Shape& shape, const Device& device);
size_t HopperScanBytes(const Mamba2Shape& shape);
template <typename T>
cudaError_t HopperScan(const Call& call, void* scratch, const Device& device, cudaStream_t stream);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_STAGES_CUH_
