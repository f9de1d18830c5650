// bamba::SwiGLU on the processor.

#ifndef BAMBA_KERNELS_CPU_SWIGLU_CPU_H_
#define BAMBA_KERNELS_CPU_SWIGLU_CPU_H_

#include "cpu/isa.h"
#include "cpu/thread_pool.h"
#include "swiglu.h"

namespace bamba::cpu {

// Computes the operator.
void SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors, const ThreadPool& pool,
            Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_SWIGLU_CPU_H_
