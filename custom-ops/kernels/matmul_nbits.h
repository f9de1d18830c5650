// The operands of bamba::MatMulNBits as plain pointers and sizes: what every implementation of the
// operator takes. custom-ops/README.md says what is computed.

#ifndef BAMBA_KERNELS_MATMUL_NBITS_H_
#define BAMBA_KERNELS_MATMUL_NBITS_H_

#include <cstdint>

#include "data_type.h"

namespace bamba {

// How the zero points of the groups are given.
enum class ZeroPoints { kMiddle, kPacked, kScaleType };

struct MatMulNBitsShape {
  DataType data_type = DataType::kFloat32;   // T
  DataType scale_type = DataType::kFloat32;  // S
  ZeroPoints zero_points = ZeroPoints::kMiddle;
  int64_t rows = 0;        // the product of all axes of x but the last
  int64_t columns = 0;     // N
  int64_t depth = 0;       // K
  int64_t bits = 4;        // 4 or 8
  int64_t block_size = 0;  // elements of a group: 32, 64 or 128

  // Groups of a row of W, the last of which may be short.
  constexpr int64_t groups() const { return (depth + block_size - 1) / block_size; }
  // Bytes of a row's codes, and of its packed zero points.
  constexpr int64_t code_bytes() const { return groups() * block_size * bits / 8; }
  constexpr int64_t zero_point_bytes() const { return (groups() * bits + 7) / 8; }
};

// All are dense and row-major; y does not overlap the others.
struct MatMulNBitsTensors {
  const void* x = nullptr;            // T [rows, depth]
  const uint8_t* codes = nullptr;     // [columns, code_bytes]
  const void* scales = nullptr;       // S [columns, groups]
  const void* zero_points = nullptr;  // uint8 [columns, zero_point_bytes], S [columns, groups]
  void* y = nullptr;                  // T [rows, columns]
};

}  // namespace bamba

#endif  // BAMBA_KERNELS_MATMUL_NBITS_H_
