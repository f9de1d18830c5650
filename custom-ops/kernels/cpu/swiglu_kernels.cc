// Compiled once for every instruction set, which BAMBA_ISA names.

#include "cpu/swiglu_kernels.h"

#include <cstring>

#include "cpu/vector.h"

namespace bamba::cpu::BAMBA_ISA {
namespace {

// Exp is cut off at 88, beyond which silu is nothing; but of a gate far below that the quotient
// would be something again. With the gate as the second operand NaN stays NaN.
Vec Gated(Vec gate, Vec up) {
  const Vec silu = Max(Vec::All(-88.0f), gate) / (Vec::All(1.0f) + Exp(Vec::All(0.0f) - gate));
  return silu * up;
}

template <typename T>
void Run(const void* gates, const void* ups, void* results, int64_t count) {
  const T* gate = static_cast<const T*>(gates);
  const T* up = static_cast<const T*>(ups);
  T* y = static_cast<T*>(results);
  int64_t i = 0;
  for (; i + Vec::kLanes <= count; i += Vec::kLanes) {
    StoreFloats(Gated(LoadFloats(gate + i), LoadFloats(up + i)), y + i);
  }
  if (i < count) {
    T last[3][Vec::kLanes] = {};
    const size_t bytes = static_cast<size_t>(count - i) * sizeof(T);
    std::memcpy(last[0], gate + i, bytes);
    std::memcpy(last[1], up + i, bytes);
    StoreFloats(Gated(LoadFloats(last[0]), LoadFloats(last[1])), last[2]);
    std::memcpy(y + i, last[2], bytes);
  }
}

}  // namespace

Gate GateOf(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return Run<Float16>;
    case DataType::kBFloat16:
      return Run<BFloat16>;
    default:
      return Run<float>;
  }
}

}  // namespace bamba::cpu::BAMBA_ISA
