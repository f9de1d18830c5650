// The convolve role: x after convolution and SiLU, plain and weighted.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_

#include "hopper_pipeline.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

// Tokens of a chunk that a warp convolves; a thread has two channels of them.
constexpr int kWarpTokens = kChunk / (kWarpgroup / 32);
constexpr int kWarpPieces = kWarpTokens / 8;

// The tokens before the sequence: as many as the past conv state has, zeros before them.
template <typename T>
__device__ inline void LoadPast(const Block& block, const Sequence& sequence, int thread,
                                char* tile) {
  const int taps = static_cast<int>(block.call.shape.conv_width) - 1;
  for (int i = thread; i < kHalo * kHeadDim; i += kWarpgroup) {
    const int channel = i % kHeadDim;
    const int back = i / kHeadDim + 1;
    reinterpret_cast<T*>(tile)[(kHalo - back) * kHeadDim + channel] =
        back <= taps ? ConvInput<T>(block.call, sequence, block.head * kHeadDim + channel, -back)
                     : FromFloat<T>(0);
  }
}

// The taps of a thread's two channels, halved, as SiLU wants the sums.
struct PairTaps {
  float taps[2][kTaps];
  float bias[2];

  __device__ PairTaps(const Call& call, int64_t channel) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      LoadTaps(call, channel + i, taps[i], bias[i]);
      bias[i] *= 0.5f;
#pragma unroll
      for (float& tap : taps[i]) {
        tap *= 0.5f;
      }
    }
  }
};

// x of the thread's two channels, token pairs packed.
struct PairRows {
  uint32_t rows[2][kWarpTokens / 2];
};

__device__ inline void StoreRows(char* tile, int row, int piece, const PairRows& pair) {
#pragma unroll
  for (int which = 0; which < 2; ++which) {
#pragma unroll
    for (int i = 0; i < kWarpPieces; ++i) {
      const uint32_t* words = &pair.rows[which][4 * i];
      *reinterpret_cast<uint4*>(tile + PieceOffset(row + which * kRowOfNeighbour, piece + i)) =
          make_uint4(words[0], words[1], words[2], words[3]);
    }
  }
}

// Convolves the thread's two channels over the warp's tokens. What tokens past the sequence's end
// give is finite, and their weights are zero.
template <typename T>
__device__ inline void ConvolveChannels(const PairTaps& pair, const char* inputs, int lane,
                                        int first_token, const float* weight, PairRows& plain,
                                        PairRows& weighted) {
  float2 u[kWarpTokens + kHalo];
#pragma unroll
  for (int i = 0; i < kWarpTokens + kHalo; ++i) {
    u[i] = Unpack<T>(
        *reinterpret_cast<const uint32_t*>(inputs + (first_token + i) * kRowBytes + lane * 4));
  }
#pragma unroll
  for (int i = 0; i < kWarpTokens; i += 4) {
    float x[2][4];
#pragma unroll
    for (int token = 0; token < 4; ++token) {
      float2 sum = make_float2(pair.bias[0], pair.bias[1]);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        sum.x += pair.taps[0][k] * u[i + token + k].x;
        sum.y += pair.taps[1][k] * u[i + token + k].y;
      }
      x[0][token] = FastSiluOfTwice(sum.x);
      x[1][token] = FastSiluOfTwice(sum.y);
    }
    const float4 w = *reinterpret_cast<const float4*>(weight + first_token + i);
#pragma unroll
    for (int channel = 0; channel < 2; ++channel) {
      const float* v = x[channel];
      plain.rows[channel][i / 2] = Pack<T>(v[0], v[1]);
      plain.rows[channel][i / 2 + 1] = Pack<T>(v[2], v[3]);
      weighted.rows[channel][i / 2] = Pack<T>(v[0] * w.x, v[1] * w.y);
      weighted.rows[channel][i / 2 + 1] = Pack<T>(v[2] * w.z, v[3] * w.w);
    }
  }
}

// The conv state of the head's x, and by the first head of a group that of B and C, which the
// kernel before has read.
template <typename T>
__device__ inline void WriteConvStates(const Block& block, const Sequence& sequence, int thread) {
  const Mamba2Shape& shape = block.call.shape;
  if (thread < kHeadDim) {
    WriteConvState<T>(block.call, sequence, block.head * kHeadDim + thread);
  }
  if (block.head % shape.heads_per_group() == 0) {
    WaitForKernelBefore();
    for (int kind = 0; kind < 2; ++kind) {
      WriteConvState<T>(block.call, sequence,
                        shape.inner() + (kind * shape.n_groups + block.group) * kState + thread);
    }
  }
}
static_assert(kWarpgroup == kState, "a thread has one channel of B and one of C");

__device__ inline void SyncConvolvers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kWarpgroup) : "memory");
}

// Writes the rows of a tile that no copy brings: before the sequence's first token what the past
// conv state holds, past its last one zeros.
template <typename T>
__device__ inline void FillEnds(const Block& block, const Sequence& sequence, int start, int thread,
                                char* tile) {
  const int end = static_cast<int>(sequence.length) - start;
  if (start > 0 && end >= kChunk) {
    return;
  }
  if (start == 0) {
    LoadPast<T>(block, sequence, thread, tile);
  }
  for (int i = thread; i < (kChunk - end) * (kRowBytes / 4); i += kWarpgroup) {
    reinterpret_cast<uint32_t*>(tile + (kHalo + end) * kRowBytes)[i] = 0;
  }
  // Copies will write here again.
  FenceAsyncProxy();
  SyncConvolvers();
}

template <typename T>
__device__ inline void ConvolveRole(const Block& block) {
  const int thread = threadIdx.x % kWarpgroup;
  const int lane = thread % 32;
  const int warp = Uniform(thread / 32);
  const int row = RowOfChannel(2 * lane);
  const int64_t channel = block.head * kHeadDim + 2 * lane;
  const PairTaps pair(block.call, channel);
  Barriers& barriers = block.barriers();
  Ring<kInputDepth> inputs;
  Ring<kDecayDepth> decays;
  Ring<kChannelDepth> channels;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      WaitFull(barriers.input_full[inputs.index], inputs.parity);
      FillEnds<T>(block, sequence, chunk * kChunk, thread, block.InputBuffer(inputs.index));
      WaitFull(barriers.decay_full[decays.index], decays.parity);
      PairRows plain;
      PairRows weighted;
      ConvolveChannels<T>(pair, block.InputBuffer(inputs.index), lane, warp * kWarpTokens,
                          block.DecayBuffer(decays.index).weight, plain, weighted);
      ArriveWarp(barriers.input_empty[inputs.index]);
      ArriveWarp(barriers.decay_empty[decays.index]);
      WaitEmpty(barriers.channel_empty[channels.index], channels.parity);
      char* tiles = block.ChannelBuffer(channels.index);
      StoreRows(tiles + ChannelTile::kX, row, warp * kWarpPieces, plain);
      StoreRows(tiles + ChannelTile::kWeighted, row, warp * kWarpPieces, weighted);
      ArriveWarpWritten(barriers.channel_full[channels.index]);
      inputs.Next();
      decays.Next();
      channels.Next();
    }
    // Every warp has read what it needs of the past, and of the inputs.
    SyncConvolvers();
    WriteConvStates<T>(block, sequence, thread);
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_
