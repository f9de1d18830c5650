// The scalar twin of bamba::MatMulNBits: the operator's page written down element by element, to
// compare with.

#ifndef BAMBA_KERNELS_REFERENCE_MATMUL_NBITS_REFERENCE_H_
#define BAMBA_KERNELS_REFERENCE_MATMUL_NBITS_REFERENCE_H_

#include "matmul_nbits.h"

namespace bamba::reference {

// An element of W.
double Weight(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors, int64_t column,
              int64_t k);

// Computes the operator on one thread in float64, rounding no activation, and rounds y once.
void MatMulNBits(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors);

}  // namespace bamba::reference

#endif  // BAMBA_KERNELS_REFERENCE_MATMUL_NBITS_REFERENCE_H_
