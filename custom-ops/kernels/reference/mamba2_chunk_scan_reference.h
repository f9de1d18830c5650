// The scalar twin of bamba::Mamba2ChunkScan: the operator's page written down token by token, to
// compare with.

#ifndef BAMBA_KERNELS_REFERENCE_MAMBA2_CHUNK_SCAN_REFERENCE_H_
#define BAMBA_KERNELS_REFERENCE_MAMBA2_CHUNK_SCAN_REFERENCE_H_

#include "mamba2_chunk_scan.h"

namespace bamba::reference {

// Computes the operator on one thread, sums in float64. With a 16-bit T, x, B and C are rounded to
// T after SiLU, and nothing else but y.
void Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors);

}  // namespace bamba::reference

#endif  // BAMBA_KERNELS_REFERENCE_MAMBA2_CHUNK_SCAN_REFERENCE_H_
