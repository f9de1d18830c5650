// bamba::MatMulNBits on CUDA, for many rows of x: writes W out as T, which a product of matrices
// then takes.

#include <algorithm>
#include <cstdint>

#include "launch.cuh"
#include "matmul_nbits_cuda.h"
#include "nbits_call.cuh"
#include "nbits_decode.cuh"

namespace bamba::cuda {
namespace nbits {
namespace {

constexpr int kDequantizeThreads = 128;
constexpr int64_t kMostBlocksOfRow = 65535;

// Blocks (row of W, part of the row); a thread takes eight neighbours at a time.
template <typename T, typename S, ZeroPoints kZeros>
__global__ void __launch_bounds__(kDequantizeThreads)
    DequantizeKernel(const __grid_constant__ Call call, T* weights) {
  const MatMulNBitsShape& shape = call.shape;
  const int64_t column = blockIdx.x;
  const uint8_t* codes = call.tensors.codes + column * call.code_bytes;
  T* row = weights + column * shape.depth;
  const int64_t stride = static_cast<int64_t>(gridDim.y) * kDequantizeThreads * kStep;
  for (int64_t k = (static_cast<int64_t>(blockIdx.y) * kDequantizeThreads + threadIdx.x) * kStep;
       k < shape.depth; k += stride) {
    const int group = static_cast<int>(k >> call.group_shift);
    const S* scales = static_cast<const S*>(call.tensors.scales) + FirstScale(call, column);
    const float scale = ToFloat(scales[group]);
    StoredZero<S, kZeros> stored = {};
    if constexpr (kZeros != ZeroPoints::kMiddle) {
      const auto* zeros = static_cast<const StoredZero<S, kZeros>*>(call.tensors.zero_points) +
                          FirstZero<kZeros>(call, column);
      stored = zeros[ZeroOfRow<kZeros>(shape.bits, group)];
    }
    const float zero = ZeroPoint<S, kZeros>(stored, shape.bits, group);
    alignas(16) T values[kStep];
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int64_t at = k + i;
      const int code = shape.bits == 8 ? codes[at] : (codes[at / 2] >> (at % 2 * 4)) & 15;
      values[i] = FromFloat<T>((code - zero) * scale);
    }
    if (shape.depth % kStep == 0) {
      constexpr int kPacks = kStep * sizeof(T) / sizeof(uint4);
#pragma unroll
      for (int i = 0; i < kPacks; ++i) {
        reinterpret_cast<uint4*>(row + k)[i] = reinterpret_cast<const uint4*>(values)[i];
      }
    } else {
      for (int i = 0; i < kStep && k + i < shape.depth; ++i) {
        row[k + i] = values[i];
      }
    }
  }
}

template <typename T, typename S>
cudaError_t Dequantize(const Call& call, void* weights, cudaStream_t stream) {
  const MatMulNBitsShape& shape = call.shape;
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(shape.columns),
                     static_cast<unsigned>(std::min(
                         CeilDivide(shape.depth, kDequantizeThreads * kStep), kMostBlocksOfRow)));
  launch.threads = kDequantizeThreads;
  launch.stream = stream;
  T* const first = static_cast<T*>(weights);
  switch (shape.zero_points) {
    case ZeroPoints::kMiddle:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kMiddle>, call, first);
    case ZeroPoints::kPacked:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kPacked>, call, first);
    default:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kScaleType>, call, first);
  }
}

template <typename T>
cudaError_t DequantizeAs(const Call& call, void* weights, cudaStream_t stream) {
  switch (call.shape.scale_type) {
    case DataType::kFloat32:
      return Dequantize<T, float>(call, weights, stream);
    case DataType::kFloat16:
      return Dequantize<T, __half>(call, weights, stream);
    case DataType::kBFloat16:
      return Dequantize<T, __nv_bfloat16>(call, weights, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace
}  // namespace nbits

cudaError_t DequantizeWeights(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                              void* weights, cudaStream_t stream) {
  const nbits::Call call = nbits::Describe(shape, tensors);
  switch (shape.data_type) {
    case DataType::kFloat32:
      return nbits::DequantizeAs<float>(call, weights, stream);
    case DataType::kFloat16:
      return nbits::DequantizeAs<__half>(call, weights, stream);
    case DataType::kBFloat16:
      return nbits::DequantizeAs<__nv_bfloat16>(call, weights, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace bamba::cuda
