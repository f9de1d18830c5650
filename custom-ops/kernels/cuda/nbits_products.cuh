// Sums of products of quantized weights and x, on tensor cores: the rows of W are the left operand,
// eight rows of x the right one.

#ifndef BAMBA_KERNELS_CUDA_NBITS_PRODUCTS_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_PRODUCTS_CUH_

#include <cstdint>
#include <type_traits>

#include "nbits_decode.cuh"
#include "nbits_stream.cuh"

namespace bamba::cuda::nbits {

// sums += a * b, of which the lanes hold fragments.
template <typename T>
__device__ inline void MultiplyAdd(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                   uint32_t a3, uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
}

// What a lane has summed of a tile of 16 columns of y and kRowTiles times eight rows, in so many
// chains of products that wait for one another. Rows is where x lies: it loads the lane's part of a
// step of a chunk.
template <typename T, int kBits, ZeroPoints kZeros, int kRowTiles, int kChains>
class Products {
 public:
  using Weights = LaneWeights<T, kZeros>;

  // Of a chunk of a piece: weights are scaled, and then multiplied by.
  template <typename Rows>
  __device__ void MultiplyScaled(const Rows& rows, const Weights& weights, int chunk) {
    using GroupDecoder = Decoder<T, kBits, kZeros != ZeroPoints::kScaleType>;
    const GroupDecoder upper(weights.scales[0], weights.zeros[0]);
    const GroupDecoder lower(weights.scales[1], weights.zeros[1]);
#pragma unroll
    for (int step = 0; step < kSteps<kBits>; ++step) {
      uint32_t a[kLaneRows][kPairs];
      upper.Decode(weights.words[0] + step * kWords<kBits>, a[0]);
      lower.Decode(weights.words[1] + step * kWords<kBits>, a[1]);
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        uint32_t b[kPairs];
        rows.Load(i, chunk, step, b);
        MultiplyAdd<T>(sums_[2 * step % kChains][i], a[0][0], a[1][0], a[0][1], a[1][1], b[0],
                       b[1]);
        MultiplyAdd<T>(sums_[(2 * step + 1) % kChains][i], a[0][2], a[1][2], a[0][3], a[1][3], b[2],
                       b[3]);
      }
    }
  }

  // Codes are multiplied by as they are laid into constants, and their sums are scaled: where a
  // chunk has one group, and there is one tile of rows.
  template <typename Rows>
  __device__ void MultiplyLaid(const Rows& rows, const Weights& weights, int chunk) {
    static_assert(kRowTiles == 1);
    using Codes = Laid<T, kBits>;
    const float2 starts = rows.LoadStarts(chunk);
    float even[4] = {starts.x, starts.y, starts.x, starts.y};
    float odd[4] = {};
#pragma unroll
    for (int step = 0; step < kSteps<kBits>; ++step) {
      uint32_t a[kLaneRows][kPairs];
      Codes::Lay(weights.words[0] + step * kWords<kBits>, a[0]);
      Codes::Lay(weights.words[1] + step * kWords<kBits>, a[1]);
      uint32_t b[kPairs];
      rows.Load(0, chunk, step, b);
      MultiplyAdd<T>(even, a[0][0], a[1][0], a[0][1], a[1][1], b[0], b[1]);
      MultiplyAdd<T>(odd, a[0][2], a[1][2], a[0][3], a[1][3], b[2], b[3]);
    }
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float sum = even[j] + Codes::kOddFactor * odd[j];
      if constexpr (kZeros != ZeroPoints::kMiddle) {
        const float2 x = rows.LoadXSums(chunk);
        sum -= weights.zeros[j / 2] * (j % 2 == 0 ? x.x : x.y);
      }
      sums_[0][0][j] += weights.scales[j / 2] * sum;
    }
  }

  // A sum, which begins anew: j / 2 says which of the lane's columns, j % 2 which of its rows of x.
  __device__ float Take(int i, int j) {
    float sum = 0;
#pragma unroll
    for (int chain = 0; chain < kChains; ++chain) {
      sum += sums_[chain][i][j];
      sums_[chain][i][j] = 0;
    }
    return sum;
  }

 private:
  float sums_[kChains][kRowTiles][4] = {};
};

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_PRODUCTS_CUH_
