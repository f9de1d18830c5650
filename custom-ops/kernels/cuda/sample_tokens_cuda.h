// Choosing tokens on a CUDA device of compute capability 8.0 or newer.

#ifndef BAMBA_KERNELS_CUDA_SAMPLE_TOKENS_CUDA_H_
#define BAMBA_KERNELS_CUDA_SAMPLE_TOKENS_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstddef>

#include "sample_tokens.h"

namespace bamba::cuda {

// Bytes of scratch device memory, aligned to 16, that a step needs. Its content does not matter.
size_t SampleTokensWorkspaceBytes(int32_t rows, int32_t vocab);

// Queues a step on the stream of the current device: no allocation, no synchronization, so that a
// CUDA graph can hold it. What is launched follows from rows and vocab alone.
cudaError_t SampleTokens(const BambaSamplingStep& step, cudaStream_t stream);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_SAMPLE_TOKENS_CUDA_H_
