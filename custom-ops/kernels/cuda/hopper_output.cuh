// The output role: r = (what the state carries + what the chunk adds + D x) silu(z), and its sums
// of squares.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_

#include "hopper_gated.cuh"
#include "hopper_pipeline.cuh"

namespace bamba::cuda::hopper {

// A thread's part of a chunk: tokens rows[0] and rows[1], and of each the channels 16 i + 4 q ... +
// 3 for four i.
struct OutputPlace {
  int warp;
  int q;
  int rows[2];

  __device__ OutputPlace()
      : warp(Uniform(threadIdx.x / 32 % 4)),
        q(threadIdx.x % 4),
        rows{16 * warp + static_cast<int>(threadIdx.x) % 32 / 4,
             16 * warp + static_cast<int>(threadIdx.x) % 32 / 4 + 8} {}
};

// z, brought to shared memory ahead of time: each warp copies its own 16 tokens, 16 bytes a piece.
// The two pieces of four lanes' 16 channels stay together; pairs stand in an order that depends on
// the row, so that four rows' lie in different banks.
template <typename T>
class GateCopy {
 public:
  __device__ GateCopy(const Block& block, const Sequence& sequence, const OutputPlace& place,
                      int turn, int start)
      : tile_(block.GateBuffer(turn) + place.warp * kTokens * kRowBytes),
        first_token_(place.warp * kTokens),
        stride_(static_cast<int>(block.call.shape.projected())) {
    const int lane = threadIdx.x % 32;
    const int row = lane / kPieces;
    left_ = static_cast<int>(sequence.length) - start - first_token_ - row;
    source_ = static_cast<const T*>(block.call.tensors.zxbcdt) +
              (sequence.first_token + start + first_token_ + row) * stride_ +
              block.head * kHeadDim + lane % kPieces * 8;
    target_ = SharedAddress(tile_) + row * kRowBytes + PairOffset(row, lane % kPieces / 2) +
              lane % 2 * 16;
  }

  // Begins the copies of the warpgroup's next chunk.
  __device__ void BeginNext() {
#pragma unroll
    for (int i = 0; i < kTokens / kRowsAtOnce; ++i) {
      CopyPiece(target_ + i * kRowsAtOnce * kRowBytes, source_ + i * kRowsAtOnce * stride_,
                i * kRowsAtOnce < left_, policy_);
    }
    CommitCopies();
    left_ -= kOutputs * kChunk;
    source_ += static_cast<int64_t>(kOutputs * kChunk) * stride_;
  }

  // Four channels from 16 i + 4 q on, of the thread's row.
  __device__ uint2 Load(const OutputPlace& place, int half, int i) const {
    const int row = place.rows[half] - first_token_;
    return *reinterpret_cast<const uint2*>(tile_ + row * kRowBytes + PairOffset(row, i) +
                                           place.q * 8);
  }

 private:
  static constexpr int kTokens = 16;
  static constexpr int kPieces = kRowBytes / 16;
  static constexpr int kRowsAtOnce = 32 / kPieces;  // a multiple of the order's period
  static_assert(kRowsAtOnce == 4);

  __device__ static int PairOffset(int row, int pair) { return (pair ^ (row & 3)) * 32; }

  const char* tile_;
  int first_token_;
  int stride_;
  int left_;         // tokens of the sequence from the lane's first one on
  const T* source_;  // of that token; not read where it is past the sequence's end
  uint32_t target_;
  uint64_t policy_ = ReadOncePolicy();
};

// The chunk's products of tokens with tokens, (C Bᵀ) exp(cs_l - cs_s) dt_s at and below the
// diagonal, and D added on it, as the left operand: where D x and a token's own share nearly
// cancel, it is their sum that is rounded. A warp has 16 tokens l, and of the tokens s the blocks 0
// ... warp: only the last of them needs an exponential for each of its elements.
template <typename T>
__device__ inline void WeighScores(const OutputPlace& place, const Decays& decays,
                                   const char* scores, float d, uint32_t (&operand)[4][4]) {
  const int w = place.warp;
  const float4* blocks = reinterpret_cast<const float4*>(scores) + w * (w + 1) / 2 * 64 +
                         static_cast<int>(threadIdx.x) % 32;
  const auto pair = [](const float* tokens, int s) {
    return *reinterpret_cast<const float2*>(tokens + s);
  };
  // Blocks that are not there hold other blocks' values, and are dropped at the end.
  uint32_t off[3][4];
  const float since[2] = {decays.since[place.rows[0]], decays.since[place.rows[1]]};
  const float* border = decays.until[w == 0 ? 0 : w - 1];
#pragma unroll
  for (int k = 0; k < 3; ++k) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 score = blocks[k * 64 + half * 32];
      const float2 until = pair(border, 16 * k + 8 * half + 2 * place.q);
      off[k][2 * half] = Pack<T>(score.x * (since[0] * until.x), score.y * (since[0] * until.y));
      off[k][2 * half + 1] =
          Pack<T>(score.z * (since[1] * until.x), score.w * (since[1] * until.y));
    }
  }
  uint32_t diagonal[4];
  const float cs[2] = {decays.cs[place.rows[0]], decays.cs[place.rows[1]]};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int s = 16 * w + 8 * half + 2 * place.q;
    const float4 score = blocks[w * 64 + half * 32];
    const float2 before = pair(decays.cs, s);
    const float2 dt = pair(decays.dt, s);
    const auto weigh = [&](float value, int row, int at, float cs_s, float dt_s) {
      const float weighed = value * (Exp2(cs[row] - cs_s) * dt_s);
      return at < place.rows[row] ? weighed : at == place.rows[row] ? weighed + d : 0;
    };
    diagonal[2 * half] =
        Pack<T>(weigh(score.x, 0, s, before.x, dt.x), weigh(score.y, 0, s + 1, before.y, dt.y));
    diagonal[2 * half + 1] =
        Pack<T>(weigh(score.z, 1, s, before.x, dt.x), weigh(score.w, 1, s + 1, before.y, dt.y));
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      operand[k][i] = k == w ? diagonal[i] : k < w && k < 3 ? off[k < 3 ? k : 0][i] : 0;
    }
  }
}

// sums = C Sᵀ, begun.
template <typename T>
__device__ inline void BeginCarried(float (&sums)[32], const char* group, const char* state) {
  const uint64_t c = Operand(group + GroupTile::kC);
  const uint64_t s = Operand(state);
  Pin(sums);
  ProductFence();
#pragma unroll
  for (int step = 0; step < kState / 16; ++step) {
    const int offset = step % 4 * 32;
    Product64<T>(sums, Further(c, step / 4 * GroupTile::kCHalf + offset),
                 Further(s, step / 4 * kStateHalf + offset), step > 0);
  }
  CommitProducts();
}

// sums += operand · x.
template <typename T>
__device__ inline void BeginInside(float (&sums)[32], const uint32_t (&operand)[4][4],
                                   const char* channels) {
  const uint64_t x = Operand(channels + ChannelTile::kX);
  Pin(sums);
  ProductFence();
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    Product64<T>(sums, operand[k], Further(x, 32 * k));
  }
  CommitProducts();
}

__device__ inline void FinishProducts(float (&sums)[32]) {
  WaitProducts();
  Pin(sums);
}

// Where r of a thread's first row and channels goes, and its sum of squares; rows of as many.
template <typename T>
struct GatedTarget {
  T* r;
  float* squares;
  int64_t channels;
  int64_t heads;

  __device__ void Skip(int64_t rows) {
    r += rows * channels;
    squares += rows * heads;
  }
};

// Gates and stores; tokens past `left` are not stored.
template <typename T>
__device__ inline void StoreGated(const OutputPlace& place, const float (&sums)[32],
                                  const GateCopy<T>& gate, const GatedTarget<T>& target, int left) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float4 r[4];
    float squares = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint2 words = gate.Load(place, half, i);
      const float2 z[2] = {Unpack<T>(words.x), Unpack<T>(words.y)};
      const float* sum = &sums[8 * i + 2 * half];
      r[i] = make_float4(sum[0] * FastSilu(z[0].x), sum[4] * FastSilu(z[0].y),
                         sum[1] * FastSilu(z[1].x), sum[5] * FastSilu(z[1].y));
      squares += r[i].x * r[i].x + r[i].y * r[i].y + r[i].z * r[i].z + r[i].w * r[i].w;
    }
    // Four lanes have a row.
    squares += __shfl_xor_sync(~0u, squares, 1);
    squares += __shfl_xor_sync(~0u, squares, 2);
    if (place.rows[half] < left) {
      const float scale = kScalesGated<T> ? PowerOfTwo(-ExponentOfRoot(squares)) : 1.0f;
      T* token = target.r + half * 8 * target.channels;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        *reinterpret_cast<uint2*>(token + 16 * i) = make_uint2(
            Pack<T>(r[i].x * scale, r[i].y * scale), Pack<T>(r[i].z * scale, r[i].w * scale));
      }
      if (place.q == 0) {
        target.squares[half * 8 * target.heads] = squares;
      }
    }
  }
}

// `turn` is 0 or 1: which of the warpgroups that take chunks in turn.
template <typename T>
__device__ inline void OutputRole(const Block& block, int turn, float* squares) {
  const OutputPlace place;
  const float d = block.call.tensors.d[block.head];
  Barriers& barriers = block.barriers();
  Ring<kGroupDepth> groups;
  Ring<kDecayDepth> decay;
  Ring<kChannelDepth> channels;
  uint32_t state_parity = 0;
  groups.Skip(turn);
  decay.Skip(turn);
  channels.Skip(turn);
  const Mamba2Shape& shape = block.call.shape;
  // Turns go on from sequence to sequence.
  int chunks_before = 0;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    const int length = static_cast<int>(sequence.length);
    const int first = (turn + kOutputs - chunks_before % kOutputs) % kOutputs;
    chunks_before += chunks;
    GateCopy<T> gate(block, sequence, place, turn, first * kChunk);
    if (first < chunks) {
      gate.BeginNext();
    }
    GatedTarget<T> target = {
        static_cast<T*>(block.call.tensors.y) + block.head * kHeadDim + 4 * place.q,
        squares + block.head, shape.inner(), shape.num_heads};
    target.Skip(sequence.first_token + first * kChunk + place.rows[0]);
    for (int chunk = first; chunk < chunks; chunk += kOutputs) {
      const char* group = block.GroupBuffer(groups.index);
      const char* channel = block.ChannelBuffer(channels.index);
      const Decays& decays = block.DecayBuffer(decay.index);

      WaitFull(barriers.channel_full[channels.index], channels.parity);
      WaitFull(barriers.group_full[groups.index], groups.parity);
      WaitFull(barriers.decay_full[decay.index], decay.parity);
      uint32_t operand[4][4];
      WeighScores<T>(place, decays, group + GroupTile::kScores, d, operand);
      const float carried[2] = {decays.carried[place.rows[0]], decays.carried[place.rows[1]]};
      ArriveWarp(barriers.decay_empty[decay.index]);

      float sums[32];
      WaitFull(barriers.state_full[turn], state_parity);
      BeginCarried<T>(sums, group, block.StateBuffer());
      FinishProducts(sums);
      ArriveWarp(barriers.state_empty);
      ArriveWarp(barriers.group_empty[groups.index]);
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        sums[i] *= carried[i / 2 % 2];
      }
      BeginInside<T>(sums, operand, channel);
      FinishProducts(sums);
      ArriveWarp(barriers.channel_empty[channels.index]);
      WaitCopies<0>();
      __syncwarp();
      StoreGated<T>(place, sums, gate, target, length - chunk * kChunk);
      __syncwarp();
      // Zeros past the last one could come after the next sequence's first z, which goes to the
      // same place.
      if (chunk + kOutputs < chunks) {
        gate.BeginNext();
      }
      target.Skip(kOutputs * kChunk);
      groups.Skip(kOutputs);
      decay.Skip(kOutputs);
      channels.Skip(kOutputs);
      state_parity ^= 1;
    }
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_
