// What the kernels of bamba::MatMulNBits share: a call, and a group's numbers as they lie in
// memory.

#ifndef BAMBA_KERNELS_CUDA_NBITS_CALL_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_CALL_CUH_

#include <cstdint>
#include <type_traits>

#include "matmul_nbits.h"
#include "numeric.cuh"

namespace bamba::cuda::nbits {

// A tile of the tensor cores: columns of y, and rows.
constexpr int kTileColumns = 16;
constexpr int kTileRows = 8;

// A call with what is worth computing once.
struct Call {
  MatMulNBitsShape shape;
  MatMulNBitsTensors tensors;
  int64_t code_bytes;
  int zero_point_bytes;
  int groups;
  // What a division by the size of a group shifts by.
  int group_shift;
  // Of the columns of y, each of kTileColumns.
  int tiles;
  // Of a row of W, as long as the kernel takes them.
  int pieces;
  // Whether the kernel before may still run.
  bool overlaps;
};

inline Call Describe(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
  Call call = {};
  call.shape = shape;
  call.tensors = tensors;
  call.code_bytes = shape.code_bytes();
  call.zero_point_bytes = static_cast<int>(shape.zero_point_bytes());
  call.groups = static_cast<int>(shape.groups());
  call.tiles = static_cast<int>((shape.columns + kTileColumns - 1) / kTileColumns);
  while ((int64_t{1} << call.group_shift) < shape.block_size) {
    ++call.group_shift;
  }
  return call;
}

// A zero point as it lies in memory; nothing is read where all are the middle.
template <typename S, ZeroPoints kZeros>
using StoredZero = std::conditional_t<kZeros == ZeroPoints::kPacked, uint8_t, S>;

// Where among all the scales of a row of W begin.
template <typename Index>
__device__ inline Index FirstScale(const Call& call, Index column) {
  return column * call.groups;
}

// Where its zero points begin.
template <ZeroPoints kZeros, typename Index>
__device__ inline Index FirstZero(const Call& call, Index column) {
  return column * (kZeros == ZeroPoints::kPacked ? call.zero_point_bytes : call.groups);
}

// Where among those a group's lies.
template <ZeroPoints kZeros, typename Index>
__device__ inline Index ZeroOfRow(int64_t bits, Index group) {
  return kZeros == ZeroPoints::kPacked && bits == 4 ? group / 2 : group;
}

// The zero point of a group.
template <typename S, ZeroPoints kZeros>
__device__ inline float ZeroPoint(StoredZero<S, kZeros> stored, int64_t bits, int group) {
  if constexpr (kZeros == ZeroPoints::kMiddle) {
    return bits == 8 ? 128 : 8;
  } else if constexpr (kZeros == ZeroPoints::kPacked) {
    return static_cast<float>(bits == 8 ? stored : (stored >> (group % 2 * 4)) & 15);
  } else {
    return ToFloat(stored);
  }
}

// Calls use<bits, zero points>() for a call's format.
template <typename Use>
auto WithFormat(const MatMulNBitsShape& shape, Use use) {
  const bool four = shape.bits == 4;
  switch (shape.zero_points) {
    case ZeroPoints::kMiddle:
      return four ? use.template operator()<4, ZeroPoints::kMiddle>()
                  : use.template operator()<8, ZeroPoints::kMiddle>();
    case ZeroPoints::kPacked:
      return four ? use.template operator()<4, ZeroPoints::kPacked>()
                  : use.template operator()<8, ZeroPoints::kPacked>();
    default:
      return four ? use.template operator()<4, ZeroPoints::kScaleType>()
                  : use.template operator()<8, ZeroPoints::kScaleType>();
  }
}

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_CALL_CUH_
