// The ways in which bamba::MatMulNBits multiplies on CUDA, among which matmul_nbits.cu chooses: for
// T of 16 bits.

#ifndef BAMBA_KERNELS_CUDA_NBITS_WAYS_H_
#define BAMBA_KERNELS_CUDA_NBITS_WAYS_H_

#include <cuda_runtime_api.h>

#include <cstddef>
#include <optional>

#include "device.h"

namespace bamba::cuda::nbits {

struct Call;

// For a few rows of x that shared memory has room for; nothing where it has not.
template <typename T>
std::optional<cudaError_t> MultiplyStep(const Call& call, const Device& device,
                                        cudaStream_t stream);

// For any number of rows, as long as they are fewer than what makes a product worth its own W in
// T. The workspace has BatchWorkspaceBytes.
template <typename T>
cudaError_t MultiplyBatch(const Call& call, void* workspace, const Device& device,
                          cudaStream_t stream);

template <typename T>
size_t BatchWorkspaceBytes(const Call& call, const Device& device);

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_WAYS_H_
