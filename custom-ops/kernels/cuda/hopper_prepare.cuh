// What the heads of a group share of every chunk, computed once: B and C after convolution and
// SiLU, and C Bᵀ.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_PREPARE_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_PREPARE_CUH_

#include "hopper_tiles.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

constexpr int kPrepareThreads = 512;
constexpr int kPrepareTokens = 16;  // that a thread convolves, of two channels

// Shared memory of a block: the tile's C and B, and B as [64 tokens][128 states] for the product.
constexpr int kPrepareB = GroupTile::kScores;
constexpr int kPrepareBytes = kPrepareB + 2 * TileBytes(kChunk);

// Convolves two channels over 16 tokens. What tokens past the sequence's end give is finite, and dt
// is zero there.
template <typename T>
__device__ inline void ConvolvePair(const Call& call, const Sequence& sequence, int64_t channel,
                                    int64_t start, uint32_t (&result)[kPrepareTokens]) {
  uint32_t words[kPrepareTokens + kHalo];
  LoadInputs<T, kPrepareTokens>(call, sequence, channel, start, words);
  float taps[2][kTaps];
  float bias[2];
  LoadTaps(call, channel, taps[0], bias[0]);
  LoadTaps(call, channel + 1, taps[1], bias[1]);
#pragma unroll
  for (int i = 0; i < kPrepareTokens; ++i) {
    float2 sum = make_float2(bias[0], bias[1]);
#pragma unroll
    for (int k = 0; k < kTaps; ++k) {
      const float2 u = Unpack<T>(words[i + k]);
      sum.x += taps[0][k] * u.x;
      sum.y += taps[1][k] * u.y;
    }
    result[i] = Pack<T>(FastSilu(sum.x), FastSilu(sum.y));
  }
}

// Stores two states of 16 tokens as columns of [tokens][states].
__device__ inline void StoreByToken(char* tile, int state, int token,
                                    const uint32_t (&words)[kPrepareTokens]) {
  char* half = tile + state / kRowElements * TileBytes(kChunk);
  const int column = state % kRowElements;
#pragma unroll
  for (int i = 0; i < kPrepareTokens; ++i) {
    *reinterpret_cast<uint32_t*>(half + PieceOffset(token + i, column / 8) + column % 8 * 2) =
        words[i];
  }
}

// Stores them as two rows of [states][tokens].
__device__ inline void StoreByState(char* tile, int state, int token,
                                    const uint32_t (&words)[kPrepareTokens]) {
  uint32_t low[kPrepareTokens / 2];
  uint32_t high[kPrepareTokens / 2];
#pragma unroll
  for (int i = 0; i < kPrepareTokens / 2; ++i) {
    low[i] = (words[2 * i] & 0xffff) | (words[2 * i + 1] << 16);
    high[i] = (words[2 * i] >> 16) | (words[2 * i + 1] & 0xffff0000u);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int piece = token / 8 + i;
    *reinterpret_cast<uint4*>(tile + PieceOffset(state, piece)) =
        make_uint4(low[4 * i], low[4 * i + 1], low[4 * i + 2], low[4 * i + 3]);
    *reinterpret_cast<uint4*>(tile + PieceOffset(state + 1, piece)) =
        make_uint4(high[4 * i], high[4 * i + 1], high[4 * i + 2], high[4 * i + 3]);
  }
}

// One block of 16 x 16 of C Bᵀ, by one warp.
template <typename T>
__device__ inline void ScoreBlock(const char* shared, char* scores, int w, int k) {
  const int lane = threadIdx.x % 32;
  const uint32_t c = SharedAddress(shared + GroupTile::kC);
  const uint32_t b = SharedAddress(shared + kPrepareB);
  const int c_row = 16 * w + lane % 16;
  const int b_row = 16 * k + lane % 8 + lane / 16 * 8;
  float sums[2][4] = {};
#pragma unroll
  for (int step = 0; step < kState / 16; ++step) {
    const int half = step / 4 * TileBytes(kChunk);
    const int piece = step % 4 * 2;
    uint32_t c_words[4];
    uint32_t b_words[4];
    LoadMatrices(c_words, c + half + PieceOffset(c_row, piece + lane / 16));
    LoadMatrices(b_words, b + half + PieceOffset(b_row, piece + lane / 8 % 2));
    MultiplyAdd<T>(sums[0], c_words, b_words[0], b_words[1]);
    MultiplyAdd<T>(sums[1], c_words, b_words[2], b_words[3]);
  }
  float4* block =
      reinterpret_cast<float4*>(scores + (w * (w + 1) / 2 + k) * GroupTile::kScoreBlock);
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    block[half * 32 + lane] =
        make_float4(sums[half][0], sums[half][1], sums[half][2], sums[half][3]);
  }
}

// Blocks (tile, group).
template <typename T>
__global__ void __launch_bounds__(kPrepareThreads) PrepareKernel(Call call, char* tiles) {
  extern __shared__ uint4 memory[];
  char* shared = reinterpret_cast<char*>(memory);
  LetKernelAfterStart();
  const Mamba2Shape& shape = call.shape;
  const int64_t tile = blockIdx.x;
  const int64_t s = LastStartingBy(shape.num_sequences, tile,
                                   [&](int64_t other) { return FirstTile(call, other); });
  const Sequence sequence = SequenceAt(call, s);
  const int64_t start = (tile - FirstTile(call, s)) * kChunk;
  if (start >= sequence.length) {
    return;
  }
  char* target = tiles + (tile * shape.n_groups + blockIdx.y) * GroupTile::kBytes;

  // Threads (16 tokens, two channels): 64 pairs of B, then 64 of C.
  const int pair = threadIdx.x % kState;
  const int token = threadIdx.x / kState * kPrepareTokens;
  const bool is_c = pair >= kState / 2;
  const int state = pair % (kState / 2) * 2;
  const int64_t channel =
      shape.inner() + ((is_c ? shape.n_groups : 0) + blockIdx.y) * kState + state;
  uint32_t words[kPrepareTokens];
  ConvolvePair<T>(call, sequence, channel, start + token, words);
  StoreByToken(shared + (is_c ? GroupTile::kC : kPrepareB), state, token, words);
  if (!is_c) {
    StoreByState(shared + GroupTile::kB, state, token, words);
  }
  __syncthreads();

  const int warp = threadIdx.x / 32;
  if (warp < 10) {
    const int w = warp < 1 ? 0 : warp < 3 ? 1 : warp < 6 ? 2 : 3;
    ScoreBlock<T>(shared, target + GroupTile::kScores, w, warp - w * (w + 1) / 2);
  }
  for (int i = threadIdx.x; i < GroupTile::kScores / 16; i += kPrepareThreads) {
    reinterpret_cast<uint4*>(target)[i] = memory[i];
  }
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_PREPARE_CUH_
