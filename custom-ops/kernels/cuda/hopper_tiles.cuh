// Sizes and layouts that the two Hopper kernels share.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_TILES_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_TILES_CUH_

#include <cstdint>

#include "hopper_ptx.cuh"
#include "sequences.cuh"

namespace bamba::cuda::hopper {

constexpr int kChunk = 64;    // tokens
constexpr int kHeadDim = 64;  // P
constexpr int kState = 128;   // N
constexpr int kTaps = 4;      // K at most
constexpr int kHalo = kTaps - 1;

// A tile's row is 128 bytes, 64 elements of the summed axis. Its eight pieces of 16 bytes stand in
// an order that depends on the row, so that eight rows' pieces of one column lie in different
// banks: the 128-byte swizzle of the matrix unit.
constexpr int kRowBytes = 128;
constexpr int kRowElements = 64;

__host__ __device__ constexpr int TileBytes(int rows) { return rows * kRowBytes; }

// Byte offset of a 16-byte piece.
__device__ constexpr int PieceOffset(int row, int piece) {
  return row * kRowBytes + ((piece ^ (row & 7)) << 4);
}

// What the heads of a group share of a chunk, as it lies in scratch memory and, copied whole, in
// shared memory.
struct GroupTile {
  // C as [64 tokens][128 states]: two tiles of 64 states each.
  static constexpr int kC = 0;
  static constexpr int kCHalf = TileBytes(kChunk);
  // B transposed, as [128 states][64 tokens].
  static constexpr int kB = 2 * kCHalf;
  // C Bᵀ in float32 at and below the diagonal, in blocks of 16 x 16 as the matrix unit's left
  // operand has them: row of blocks w, column of blocks k <= w, at block w (w + 1) / 2 + k; in each
  // two halves of 8 columns, then lanes, then the four values of a lane.
  static constexpr int kScores = kB + TileBytes(kState);
  static constexpr int kScoreBlock = 16 * 16 * 4;
  static constexpr int kBytes = kScores + 10 * kScoreBlock;
};
static_assert(GroupTile::kBytes % 1024 == 0, "a tile begins where the swizzle's pattern does");

// Rows of x's and the state's tiles stand in this order: channel 16 a + 4 q + 2 b + e is row 16 a +
// 8 e + 2 q + b. So a thread's sums of a token are four neighbours and four lanes have sixteen, and
// eight lanes with a pair of channels each store rows of eight different bank groups.
__device__ constexpr int RowOfChannel(int channel) {
  return (channel & ~15) | ((channel & 1) << 3) | ((channel & 12) >> 1) | ((channel & 2) >> 1);
}

__device__ constexpr int ChannelOfRow(int row) {
  return (row & ~15) | ((row & 8) >> 3) | ((row & 6) << 1) | ((row & 1) << 1);
}

// The row of a channel's odd neighbour after that of an even channel.
constexpr int kRowOfNeighbour = 8;

// Tiles are numbered through all sequences: those of a sequence stand together.
__host__ __device__ inline int64_t MostTiles(const Mamba2Shape& shape, bool packed) {
  const int64_t per_row = (shape.length + kChunk - 1) / kChunk;
  return packed ? shape.length / kChunk + shape.num_sequences : shape.batch * per_row;
}

// A packed sequence may begin anywhere, so tile numbers are left free between sequences: at most
// one for each.
__device__ inline int64_t FirstTile(const Call& call, int64_t s) {
  if (call.tensors.cu_seqlens == nullptr) {
    return s * ((call.shape.length + kChunk - 1) / kChunk);
  }
  return call.tensors.cu_seqlens[s] / kChunk + s;
}

// Weights of a channel's taps, zeros in front where there are fewer than four.
__device__ inline void LoadTaps(const Call& call, int64_t channel, float (&taps)[kTaps],
                                float& bias) {
  const int width = static_cast<int>(call.shape.conv_width);
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    const int tap = k - (kTaps - width);
    taps[k] = tap < 0 ? 0.0f : call.tensors.conv_weight[channel * width + tap];
  }
  bias = call.tensors.conv_bias[channel];
}

// Inputs u of two neighbouring channels at positions start - 3 ... start + kCount - 1; zeros where
// the sequence has none. `channel` is even.
template <typename T, int kCount>
__device__ inline void LoadInputs(const Call& call, const Sequence& sequence, int64_t channel,
                                  int64_t start, uint32_t (&words)[kCount + kHalo]) {
  const Mamba2Shape& shape = call.shape;
  const T* base = static_cast<const T*>(call.tensors.zxbcdt) +
                  sequence.first_token * shape.projected() + shape.inner() + channel;
#pragma unroll
  for (int i = 0; i < kCount + kHalo; ++i) {
    const int64_t position = start - kHalo + i;
    words[i] = 0;
    if (position >= 0 && position < sequence.length) {
      words[i] = *reinterpret_cast<const uint32_t*>(base + position * shape.projected());
    }
  }
  if (start == 0) {
    // Tokens before the sequence: the last conv_width - 1 are known.
#pragma unroll
    for (int i = 0; i < kHalo; ++i) {
      const int64_t position = i - kHalo;
      if (position >= 1 - shape.conv_width && sequence.length > 0) {
        const T low = ConvInput<T>(call, sequence, channel, position);
        const T high = ConvInput<T>(call, sequence, channel + 1, position);
        words[i] = Pack<T>(ToFloat(low), ToFloat(high));
      }
    }
  }
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_TILES_CUH_
