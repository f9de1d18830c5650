// bamba::SwiGLU on a CUDA device of compute capability 8.0 or newer.

#ifndef BAMBA_KERNELS_CUDA_SWIGLU_CUDA_H_
#define BAMBA_KERNELS_CUDA_SWIGLU_CUDA_H_

#include <cuda_runtime_api.h>

#include "device.h"
#include "swiglu.h"

namespace bamba::cuda {

// Queues the operator on the stream: no allocation, no synchronization, no copy from or to the
// host, so that a CUDA graph can hold it. Both pointers are device memory.
cudaError_t SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors, const Device& device,
                   cudaStream_t stream);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_SWIGLU_CUDA_H_
