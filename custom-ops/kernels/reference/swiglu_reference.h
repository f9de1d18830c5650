// The scalar twin of bamba::SwiGLU: the operator's page written down element by element, to compare
// with.

#ifndef BAMBA_KERNELS_REFERENCE_SWIGLU_REFERENCE_H_
#define BAMBA_KERNELS_REFERENCE_SWIGLU_REFERENCE_H_

#include "swiglu.h"

namespace bamba::reference {

// Computes the operator on one thread in float64, and rounds y once.
void SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors);

}  // namespace bamba::reference

#endif  // BAMBA_KERNELS_REFERENCE_SWIGLU_REFERENCE_H_
