// The operands of bamba::SwiGLU as plain pointers and sizes: what every implementation of the
// operator takes, on whatever device. custom-ops/README.md says what is computed.

#ifndef BAMBA_KERNELS_SWIGLU_H_
#define BAMBA_KERNELS_SWIGLU_H_

#include <cstdint>

#include "data_type.h"

namespace bamba {

struct SwiGluShape {
  DataType data_type = DataType::kFloat32;
  int64_t rows = 0;   // the product of all axes of x but the last
  int64_t width = 0;  // I
};

// Both are dense and row-major, elements of type T, and do not overlap.
struct SwiGluTensors {
  const void* x = nullptr;  // [rows, 2 I]
  void* y = nullptr;        // [rows, I]
};

}  // namespace bamba

#endif  // BAMBA_KERNELS_SWIGLU_H_
