// The inner loop of the processor's SwiGLU, compiled for every instruction set.

#ifndef BAMBA_KERNELS_CPU_SWIGLU_KERNELS_H_
#define BAMBA_KERNELS_CPU_SWIGLU_KERNELS_H_

#include <cstdint>

#include "data_type.h"

namespace bamba::cpu {

// y = silu(gate) * up, `count` neighbours of T each.
using Gate = void (*)(const void* gate, const void* up, void* y, int64_t count);

namespace plain {
Gate GateOf(DataType type);
}
namespace avx2 {
Gate GateOf(DataType type);
}
namespace avx512 {
Gate GateOf(DataType type);
}

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_SWIGLU_KERNELS_H_
