// The last stage: y from r, which lies in its place.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_NORM_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_NORM_CUH_

#include "hopper_gated.cuh"
#include "hopper_tiles.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

constexpr int kNormThreads = 256;
// Channels that a thread has side by side, and how many such pieces it loads before it stores one.
constexpr int kNormPiece = 8;
constexpr int kNormPieces = 4;

__device__ inline float WarpSum(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(~0u, value, offset);
  }
  return value;
}

// What r of a norm group is to be multiplied by, given the sums of squares of its heads; by a warp.
__device__ inline float NormScale(const Mamba2Shape& shape, const float* squares, int heads) {
  float sum = 0;
  for (int head = threadIdx.x % 32; head < heads; head += 32) {
    sum += squares[head];
  }
  return rsqrtf(WarpSum(sum) / static_cast<float>(shape.norm_group_size) + shape.epsilon);
}

template <typename T>
__device__ inline uint4 NormPiece(const uint4& r, float scale, const float* weight) {
  const float4 low = *reinterpret_cast<const float4*>(weight);
  const float4 high = *reinterpret_cast<const float4*>(weight + 4);
  const float2 a = Unpack<T>(r.x);
  const float2 b = Unpack<T>(r.y);
  const float2 c = Unpack<T>(r.z);
  const float2 d = Unpack<T>(r.w);
  return make_uint4(Pack<T>(a.x * scale * low.x, a.y * scale * low.y),
                    Pack<T>(b.x * scale * low.z, b.y * scale * low.w),
                    Pack<T>(c.x * scale * high.x, c.y * scale * high.y),
                    Pack<T>(d.x * scale * high.z, d.y * scale * high.w));
}

// A block does one norm group of one token; zeros where the token is not real. The last token comes
// first: its r was stored last and is still in the cache.
template <typename T>
__global__ void __launch_bounds__(kNormThreads) NormKernel(Call call, const float* squares) {
  const Mamba2Shape& shape = call.shape;
  const int size = static_cast<int>(shape.norm_group_size);
  const int64_t groups = shape.inner() / size;
  const int64_t at = gridDim.x - 1 - blockIdx.x;
  const int64_t token = at / groups;
  const int64_t group = at - token * groups;
  const bool real = OwnerOf(call, token) >= 0;
  const float* weight = call.tensors.norm_weight + group * size;
  const float* heads = squares + token * shape.num_heads + group * (size / kHeadDim);
  T* y = static_cast<T*>(call.tensors.y) + at * size;
  constexpr int kStride = kNormThreads * kNormPiece;
  WaitForKernelBefore();
  for (int start = 0; start < size; start += kNormPieces * kStride) {
    const int first = start + static_cast<int>(threadIdx.x) * kNormPiece;
    uint4 pieces[kNormPieces] = {};
#pragma unroll
    for (int i = 0; i < kNormPieces; ++i) {
      if (real && first + i * kStride < size) {
        pieces[i] = *reinterpret_cast<const uint4*>(y + first + i * kStride);
      }
    }
    const float scale = real ? NormScale(shape, heads, size / kHeadDim) : 0;
#pragma unroll
    for (int i = 0; i < kNormPieces; ++i) {
      const int channel = first + i * kStride;
      if (channel < size) {
        float by = scale;
        if (kScalesGated<T> && real) {
          by *= PowerOfTwo(ExponentOfRoot(heads[channel / kHeadDim]));
        }
        *reinterpret_cast<uint4*>(y + channel) = NormPiece<T>(pieces[i], by, weight + channel);
      }
    }
  }
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_NORM_CUH_
