#include "reference/swiglu_reference.h"

#include <cmath>

#include "numeric.h"

namespace bamba::reference {
namespace {

template <typename T>
void Run(const SwiGluShape& shape, const SwiGluTensors& tensors) {
  for (int64_t row = 0; row < shape.rows; ++row) {
    const T* gate = static_cast<const T*>(tensors.x) + row * 2 * shape.width;
    T* y = static_cast<T*>(tensors.y) + row * shape.width;
    for (int64_t i = 0; i < shape.width; ++i) {
      const double g = ToFloat(gate[i]);
      const double u = ToFloat(gate[shape.width + i]);
      y[i] = FromFloat<T>(static_cast<float>(g / (1 + std::exp(-g)) * u));
    }
  }
}

}  // namespace

void SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors) {
  switch (shape.data_type) {
    case DataType::kFloat32:
      return Run<float>(shape, tensors);
    case DataType::kFloat16:
      return Run<Float16>(shape, tensors);
    case DataType::kBFloat16:
      return Run<BFloat16>(shape, tensors);
  }
}

}  // namespace bamba::reference
