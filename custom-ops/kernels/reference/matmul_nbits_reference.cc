#include "reference/matmul_nbits_reference.h"

#include <vector>

#include "numeric.h"

namespace bamba::reference {
namespace {

double ElementOf(const void* elements, DataType type, int64_t index) {
  switch (type) {
    case DataType::kFloat16:
      return ToFloat(static_cast<const Float16*>(elements)[index]);
    case DataType::kBFloat16:
      return ToFloat(static_cast<const BFloat16*>(elements)[index]);
    default:
      return static_cast<const float*>(elements)[index];
  }
}

// The code at an index of a row of packed codes, the low nibble first.
int CodeOf(const uint8_t* row, int64_t bits, int64_t index) {
  return bits == 8 ? row[index] : (row[index / 2] >> (index % 2 * 4)) & 15;
}

double ZeroPointOf(const MatMulNBitsShape& shape, const void* zero_points, int64_t column,
                   int64_t group) {
  switch (shape.zero_points) {
    case ZeroPoints::kPacked:
      return CodeOf(static_cast<const uint8_t*>(zero_points) + column * shape.zero_point_bytes(),
                    shape.bits, group);
    case ZeroPoints::kScaleType:
      return ElementOf(zero_points, shape.scale_type, column * shape.groups() + group);
    default:
      return shape.bits == 8 ? 128 : 8;
  }
}

template <typename T>
void Run(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
  std::vector<double> weights(shape.depth);
  for (int64_t n = 0; n < shape.columns; ++n) {
    for (int64_t k = 0; k < shape.depth; ++k) {
      weights[k] = Weight(shape, tensors, n, k);
    }
    for (int64_t row = 0; row < shape.rows; ++row) {
      const T* x = static_cast<const T*>(tensors.x) + row * shape.depth;
      double sum = 0;
      for (int64_t k = 0; k < shape.depth; ++k) {
        sum += ToFloat(x[k]) * weights[k];
      }
      static_cast<T*>(tensors.y)[row * shape.columns + n] = FromFloat<T>(static_cast<float>(sum));
    }
  }
}

}  // namespace

double Weight(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors, int64_t column,
              int64_t k) {
  const int64_t group = k / shape.block_size;
  const int code = CodeOf(tensors.codes + column * shape.code_bytes(), shape.bits, k);
  return (code - ZeroPointOf(shape, tensors.zero_points, column, group)) *
         ElementOf(tensors.scales, shape.scale_type, column * shape.groups() + group);
}

void MatMulNBits(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
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
