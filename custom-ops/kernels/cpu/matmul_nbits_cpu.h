// bamba::MatMulNBits on the processor.

#ifndef BAMBA_KERNELS_CPU_MATMUL_NBITS_CPU_H_
#define BAMBA_KERNELS_CPU_MATMUL_NBITS_CPU_H_

#include <cstddef>

#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "matmul_nbits.h"

namespace bamba::cpu {

// Bytes of scratch memory that a call needs.
size_t MatMulNBitsWorkspaceBytes(const MatMulNBitsShape& shape);

// Computes the operator. W is read where it lies, and nothing of it is kept.
void MatMulNBits(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors, void* workspace,
                 const ThreadPool& pool, Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_MATMUL_NBITS_CPU_H_
