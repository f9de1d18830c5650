// bamba::MatMulNBits on CUDA: the product itself for few rows of x, where reading W is what takes
// time; for more, W as T, which a product of matrices then takes.

#ifndef BAMBA_KERNELS_CUDA_MATMUL_NBITS_CUDA_H_
#define BAMBA_KERNELS_CUDA_MATMUL_NBITS_CUDA_H_

#include <cuda_runtime_api.h>

#include <cstddef>

#include "device.h"
#include "matmul_nbits.h"

namespace bamba::cuda {

// Whether MultiplyFewRows takes a call: 16-bit T with scales of T, not many rows, and operands that
// may be read 16 bytes at a time.
bool HasFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors);

// Bytes of scratch device memory that such a call needs.
size_t FewRowsWorkspaceBytes(const MatMulNBitsShape& shape, const Device& device);

// Queues the whole operator, for a call that HasFewRows. constant_weights says that no kernel
// writes W, which is then read before the kernels that are queued already are done.
cudaError_t MultiplyFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                            bool constant_weights, void* workspace, const Device& device,
                            cudaStream_t stream);

// Queues the writing of W, rounded to T, to weights: T [columns, depth].
cudaError_t DequantizeWeights(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                              void* weights, cudaStream_t stream);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_MATMUL_NBITS_CUDA_H_
