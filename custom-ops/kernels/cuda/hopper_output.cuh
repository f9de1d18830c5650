// The output role: r = (what the state carries + what the chunk adds + D x) silu(z).

#ifndef BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_

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

// z of the thread's part, four channels a piece, brought to shared memory ahead of time.
template <typename T>
struct GateCopy {
  const T* source;  // of the thread's first row and channels in the first chunk
  int64_t stride;
  int length;
  int row;
  char* buffer;  // the thread's pieces, 128 threads apart

  __device__ GateCopy(const Block& block, const Sequence& sequence, const OutputPlace& place,
                      int turn)
      : source(static_cast<const T*>(block.call.tensors.zxbcdt) +
               (sequence.first_token + place.rows[0]) * block.call.shape.projected() +
               block.head * kHeadDim + 4 * place.q),
        stride(block.call.shape.projected()),
        length(static_cast<int>(sequence.length)),
        row(place.rows[0]),
        buffer(block.GateBuffer(turn) + threadIdx.x % kWarpgroup * 8) {}

  __device__ void Begin(int start) const {
    if (start < length) {
      const uint32_t target = SharedAddress(buffer);
      const T* token = source + start * stride;
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const bool real = start + row + 8 * half < length;
        const T* from = real ? token + half * 8 * stride : source;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          CopyPiece<8>(target + (4 * half + i) * kWarpgroup * 8, from + 16 * i, real);
        }
      }
    }
    CommitCopies();
  }

  __device__ uint2 Piece(int half, int i) const {
    return *reinterpret_cast<const uint2*>(buffer + (4 * half + i) * kWarpgroup * 8);
  }
};

// The chunk's products of tokens with tokens, (C Bᵀ) exp(cs_l - cs_s) dt_s at and below the
// diagonal, as the left operand. Between blocks of 16 tokens the decay is a product of two: from s
// to the token before the row's block, and from there to l. Neither can overflow, and only the
// block on the diagonal needs an exponential for each of its elements.
template <typename T>
__device__ inline void WeighScores(const OutputPlace& place, const Decays& decays,
                                   const char* scores, uint32_t (&operand)[4][4]) {
  const int w = place.warp;
  const int lane = threadIdx.x % 32;
  const float cs[2] = {decays.cs[place.rows[0]], decays.cs[place.rows[1]]};
  const float border = w == 0 ? 0 : decays.cs[16 * w - 1];
  const float since[2] = {Exp2(cs[0] - border), Exp2(cs[1] - border)};
  const float4* blocks = reinterpret_cast<const float4*>(scores) + w * (w + 1) / 2 * 64 + lane;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      uint32_t low = 0;
      uint32_t high = 0;
      if (k <= w) {
        const float4 score = blocks[k * 64 + half * 32];
        const int s = 16 * k + 8 * half + 2 * place.q;
        const float2 before = *reinterpret_cast<const float2*>(&decays.cs[s]);
        const float2 dt = *reinterpret_cast<const float2*>(&decays.dt[s]);
        if (k < w) {
          const float2 until =
              make_float2(Exp2(border - before.x) * dt.x, Exp2(border - before.y) * dt.y);
          low = Pack<T>(score.x * since[0] * until.x, score.y * since[0] * until.y);
          high = Pack<T>(score.z * since[1] * until.x, score.w * since[1] * until.y);
        } else {
          const auto weigh = [&](float value, int l, float cs_l, int at, float cs_s, float dt_s) {
            return at <= l ? value * Exp2(cs_l - cs_s) * dt_s : 0;
          };
          low = Pack<T>(weigh(score.x, place.rows[0], cs[0], s, before.x, dt.x),
                        weigh(score.y, place.rows[0], cs[0], s + 1, before.y, dt.y));
          high = Pack<T>(weigh(score.z, place.rows[1], cs[1], s, before.x, dt.x),
                         weigh(score.w, place.rows[1], cs[1], s + 1, before.y, dt.y));
        }
      }
      operand[k][2 * half] = low;
      operand[k][2 * half + 1] = high;
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

// x of the thread's part: x[j][half] are two neighbours of columns 8 j.
__device__ inline void LoadChannels(const OutputPlace& place, const char* channels,
                                    uint32_t (&x)[8][2]) {
  const int lane = threadIdx.x % 32;
  const uint32_t tile = SharedAddress(channels + ChannelTile::kX);
#pragma unroll
  for (int j = 0; j < 8; j += 2) {
    uint32_t words[4];
    const int row = 8 * (j + lane / 16) + lane % 8;
    LoadMatricesTransposed(words, tile + PieceOffset(row, 2 * place.warp + lane / 8 % 2));
    x[j][0] = words[0];
    x[j][1] = words[1];
    x[j + 1][0] = words[2];
    x[j + 1][1] = words[3];
  }
}

// Adds D x, gates and stores. `target` is where r of the thread's first row and channels goes, rows
// of `inner`; tokens past `left` are not stored.
template <typename T>
__device__ inline void StoreGated(const OutputPlace& place, const float (&sums)[32],
                                  const uint32_t (&x)[8][2], const GateCopy<T>& gate, float d,
                                  float* target, int64_t inner, int left) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float* token = target + half * 8 * inner;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint2 words = gate.Piece(half, i);
      const float2 z[2] = {Unpack<T>(words.x), Unpack<T>(words.y)};
      float r[4];
#pragma unroll
      for (int odd = 0; odd < 2; ++odd) {
        const int j = 2 * i + odd;
        const float2 skip = Unpack<T>(x[j][half]);
        r[odd] = (sums[4 * j + 2 * half] + d * skip.x) * FastSilu(odd ? z[0].y : z[0].x);
        r[2 + odd] = (sums[4 * j + 2 * half + 1] + d * skip.y) * FastSilu(odd ? z[1].y : z[1].x);
      }
      if (place.rows[half] < left) {
        *reinterpret_cast<float4*>(token + 16 * i) = make_float4(r[0], r[1], r[2], r[3]);
      }
    }
  }
}

// `turn` is 0 or 1: which of the warpgroups that take chunks in turn.
template <typename T>
__device__ inline void OutputRole(const Block& block, int turn, float* gated) {
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
  const int64_t inner = block.call.shape.inner();
  // Turns go on from sequence to sequence.
  int chunks_before = 0;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    const int first = (turn + chunks_before) % kOutputs;
    chunks_before += chunks;
    const GateCopy<T> gate(block, sequence, place, turn);
    gate.Begin(first * kChunk);
    float* target = gated + (sequence.first_token + first * kChunk + place.rows[0]) * inner +
                    block.head * kHeadDim + 4 * place.q;
    for (int chunk = first; chunk < chunks; chunk += kOutputs) {
      const char* group = block.GroupBuffer(groups.index);
      const char* channel = block.ChannelBuffer(channels.index);
      const Decays& decays = block.DecayBuffer(decay.index);

      WaitFull(barriers.channel_full[channels.index], channels.parity);
      WaitFull(barriers.group_full[groups.index], groups.parity);
      uint32_t operand[4][4];
      WeighScores<T>(place, decays, group + GroupTile::kScores, operand);
      const float carried[2] = {Exp2(decays.cs[place.rows[0]]), Exp2(decays.cs[place.rows[1]])};
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
      uint32_t x[8][2];
      LoadChannels(place, channel, x);
      FinishProducts(sums);
      ArriveWarp(barriers.channel_empty[channels.index]);
      WaitCopies<0>();
      const int start = chunk * kChunk;
      StoreGated<T>(place, sums, x, gate, d, target, inner, gate.length - start);
      gate.Begin(start + kOutputs * kChunk);
      target += kOutputs * kChunk * inner;
      groups.Skip(kOutputs);
      decay.Skip(kOutputs);
      channels.Skip(kOutputs);
      state_parity ^= 1;
    }
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_OUTPUT_CUH_
