// The gated norm of one group of channels of a token, by a block.

#ifndef BAMBA_KERNELS_CUDA_GATED_NORM_CUH_
#define BAMBA_KERNELS_CUDA_GATED_NORM_CUH_

#include "numeric.cuh"
#include "sequences.cuh"

namespace bamba::cuda {

constexpr int kNormThreads = 256;
// Elements that a thread keeps in registers between the two looks at them.
constexpr int kNormHeld = 32;

// Whether groups fit into a block's registers.
constexpr bool NormIsHeld(const Mamba2Shape& shape) {
  return shape.norm_group_size % 4 == 0 && shape.norm_group_size <= kNormThreads * kNormHeld;
}

__device__ inline float BlockSum(float value) {
  __shared__ float sums[kNormThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(~0u, value, offset);
  }
  if (threadIdx.x % 32 == 0) {
    sums[threadIdx.x / 32] = value;
  }
  __syncthreads();
  value = 0;
  for (float sum : sums) {
    value += sum;
  }
  return value;
}

// Four neighbours rounded to T and stored together.
template <typename T>
__device__ inline void StoreFour(T* target, float4 value) {
  struct alignas(4 * sizeof(T)) Four {
    T elements[4];
  };
  *reinterpret_cast<Four*>(target) = {
      {FromFloat<T>(value.x), FromFloat<T>(value.y), FromFloat<T>(value.z), FromFloat<T>(value.w)}};
}

// y = r / sqrt(mean of r² + epsilon) * norm_weight; zeros where the token is not real.
template <typename T, bool kHeld>
__device__ inline void NormGroup(const Call& call, const float* gated, int64_t token, int64_t group,
                                 bool real) {
  const int64_t size = call.shape.norm_group_size;
  const int64_t at = token * call.shape.inner() + group * size;
  const float* r = gated + at;
  const float* weight = call.tensors.norm_weight + group * size;
  T* y = static_cast<T*>(call.tensors.y) + at;
  const auto scale = [&](float sum) {
    return rsqrtf(BlockSum(sum) / static_cast<float>(size) + call.shape.epsilon);
  };
  float sum = 0;
  if constexpr (kHeld) {
    float4 held[kNormHeld / 4] = {};
    const int count = static_cast<int>(size);
    const int first = threadIdx.x * 4;
    constexpr int kStride = kNormThreads * 4;
#pragma unroll
    for (int i = 0; i < kNormHeld / 4; ++i) {
      if (real && first + i * kStride < count) {
        held[i] = *reinterpret_cast<const float4*>(r + first + i * kStride);
        sum += held[i].x * held[i].x + held[i].y * held[i].y + held[i].z * held[i].z +
               held[i].w * held[i].w;
      }
    }
    const float by = scale(sum);
#pragma unroll
    for (int i = 0; i < kNormHeld / 4; ++i) {
      if (first + i * kStride < count) {
        const float4 w = *reinterpret_cast<const float4*>(weight + first + i * kStride);
        StoreFour(y + first + i * kStride, make_float4(held[i].x * by * w.x, held[i].y * by * w.y,
                                                       held[i].z * by * w.z, held[i].w * by * w.w));
      }
    }
  } else {
    for (int64_t i = threadIdx.x; real && i < size; i += kNormThreads) {
      sum += r[i] * r[i];
    }
    const float by = scale(sum);
    for (int64_t i = threadIdx.x; i < size; i += kNormThreads) {
      y[i] = FromFloat<T>(real ? r[i] * by * weight[i] : 0.0f);
    }
  }
}

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_GATED_NORM_CUH_
