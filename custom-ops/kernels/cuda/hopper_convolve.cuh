// The convolve role: x after convolution and SiLU, twice, and the sums of the decays.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_

#include "hopper_pipeline.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

constexpr int kWarpTokens =
    kChunk / (kWarpgroup / 32);  // that a warp convolves, a thread two channels of them

// dt of the head: a lane has two neighbouring tokens of the chunk, and every warp has them all.
template <typename T>
struct TimeSteps {
  const T* base;
  int64_t stride;
  int64_t length;
  float bias;
  float a;  // A log2(e)
  float dt_min;
  float dt_max;

  __device__ explicit TimeSteps(const Station& at)
      : base(static_cast<const T*>(at.call.tensors.zxbcdt) +
             at.sequence.first_token * at.call.shape.projected() + at.call.shape.inner() +
             at.call.shape.conv_channels() + at.head),
        stride(at.call.shape.projected()),
        length(at.sequence.length),
        bias(at.call.tensors.dt_bias[at.head]),
        a(-expf(at.call.tensors.a_log[at.head]) * 1.4426950408889634f),
        dt_min(at.call.shape.dt_min),
        dt_max(at.call.shape.dt_max) {}

  // As they stand in zxbcdt.
  __device__ float2 Load(int64_t start) const {
    const int64_t token = start + threadIdx.x % 32 * 2;
    return make_float2(token < length ? ToFloat(base[token * stride]) : 0,
                       token + 1 < length ? ToFloat(base[(token + 1) * stride]) : 0);
  }

  // After softplus and clamp; zeros past the end.
  __device__ float2 Step(int64_t start, float2 raw) const {
    const int64_t token = start + threadIdx.x % 32 * 2;
    return make_float2(token < length ? TimeStep(raw.x, bias, dt_min, dt_max) : 0,
                       token + 1 < length ? TimeStep(raw.y, bias, dt_min, dt_max) : 0);
  }
};

// Writes the warp's part of the chunk's decays and returns to each lane of it the weights of its
// two tokens.
__device__ inline float2 SumDecays(float2 dt, float a, Decays& decays) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32 % 4;
  const float2 step = make_float2(dt.x * a, dt.y * a);
  float sum = step.x + step.y;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const float before = __shfl_up_sync(~0u, sum, offset);
    sum += lane >= offset ? before : 0;
  }
  const float last = __shfl_sync(~0u, sum, 31);
  const float2 cs = make_float2(sum - step.y, sum);
  if (lane / 8 == warp) {
    *reinterpret_cast<float2*>(&decays.cs[2 * lane]) = cs;
    *reinterpret_cast<float2*>(&decays.dt[2 * lane]) = dt;
  }
  return make_float2(Exp2(last - cs.x) * dt.x, Exp2(last - cs.y) * dt.y);
}

// Two channels' tokens, token pairs packed: the rows of the tiles.
struct PairRows {
  uint32_t rows[2][kWarpTokens / 2];
};

// `first` is the row, 0 or 1, that this thread stores first: lanes whose rows would meet in a bank
// store theirs in opposite order.
__device__ inline void StoreRows(char* tile, int row, int warp, int first, const PairRows& pair) {
#pragma unroll
  for (int turn = 0; turn < 2; ++turn) {
    const int which = turn ^ first;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      uint32_t words[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        words[j] = which == 0 ? pair.rows[0][4 * i + j] : pair.rows[1][4 * i + j];
      }
      *reinterpret_cast<uint4*>(tile + PieceOffset(row + which, 2 * warp + i)) =
          make_uint4(words[0], words[1], words[2], words[3]);
    }
  }
}

// The role's constants of a thread's two channels.
struct PairTaps {
  float taps[2][kTaps];
  float bias[2];
};

// Convolves the thread's two channels over the warp's tokens and stores both tiles. `weights` holds
// the warp's 16.
template <typename T>
__device__ inline void ConvolveChannels(const PairTaps& pair,
                                        const uint32_t (&words)[kWarpTokens + kHalo], int valid,
                                        const float* weights, char* tiles, int row, int warp,
                                        int first) {
  PairRows plain;
  PairRows weighted;
#pragma unroll
  for (int i = 0; i < kWarpTokens; i += 2) {
    float x[2][2];
#pragma unroll
    for (int token = 0; token < 2; ++token) {
      float2 sum = make_float2(pair.bias[0], pair.bias[1]);
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        const float2 u = Unpack<T>(words[i + token + k]);
        sum.x += pair.taps[0][k] * u.x;
        sum.y += pair.taps[1][k] * u.y;
      }
      const bool real = i + token < valid;
      x[0][token] = real ? FastSilu(sum.x) : 0;
      x[1][token] = real ? FastSilu(sum.y) : 0;
    }
#pragma unroll
    for (int channel = 0; channel < 2; ++channel) {
      plain.rows[channel][i / 2] = Pack<T>(x[channel][0], x[channel][1]);
      weighted.rows[channel][i / 2] =
          Pack<T>(x[channel][0] * weights[i], x[channel][1] * weights[i + 1]);
    }
  }
  StoreRows(tiles + ChannelTile::kX, row, warp, first, plain);
  StoreRows(tiles + ChannelTile::kWeighted, row, warp, first, weighted);
}

// The conv state of the head's x, and by the first head of a group that of B and C, which the
// kernel before has read.
template <typename T>
__device__ inline void WriteConvStates(const Station& at) {
  const Mamba2Shape& shape = at.call.shape;
  const int i = threadIdx.x % kWarpgroup;
  if (i < kHeadDim) {
    WriteConvState<T>(at.call, at.sequence, at.head * kHeadDim + i);
  }
  if (at.head % shape.heads_per_group() == 0) {
    WaitForKernelBefore();
    for (int kind = 0; kind < 2; ++kind) {
      WriteConvState<T>(at.call, at.sequence,
                        shape.inner() + (kind * shape.n_groups + at.group) * kState + i);
    }
  }
}

template <typename T>
__device__ inline void ConvolveRole(const Station& at) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32 % 4;
  const int row = RowOfChannel(2 * lane);
  const int first = lane % 2;
  const int64_t channel = at.head * kHeadDim + 2 * lane;
  PairTaps pair;
  LoadTaps(at.call, channel, pair.taps[0], pair.bias[0]);
  LoadTaps(at.call, channel + 1, pair.taps[1], pair.bias[1]);
  const TimeSteps<T> steps(at);

  uint32_t words[kWarpTokens + kHalo];
  LoadInputs<T, kWarpTokens>(at.call, at.sequence, channel, warp * kWarpTokens, words);
  float2 raw = steps.Load(0);
  Ring<kChannelDepth> ring;
  for (int64_t chunk = 0; chunk < at.chunks; ++chunk, ring.Next()) {
    const int64_t start = chunk * kChunk;
    uint32_t next[kWarpTokens + kHalo];
    LoadInputs<T, kWarpTokens>(at.call, at.sequence, channel, start + kChunk + warp * kWarpTokens,
                               next);
    const float2 dt = steps.Step(start, raw);
    raw = steps.Load(start + kChunk);

    WaitEmpty(at.barriers().channel_empty[ring.index], ring.parity);
    const float2 pair_weights = SumDecays(dt, steps.a, at.DecayBuffer(ring.index));
    float weights[kWarpTokens];
#pragma unroll
    for (int i = 0; i < kWarpTokens / 2; ++i) {
      weights[2 * i] = __shfl_sync(~0u, pair_weights.x, 8 * warp + i);
      weights[2 * i + 1] = __shfl_sync(~0u, pair_weights.y, 8 * warp + i);
    }
    const int64_t left = at.sequence.length - start - warp * kWarpTokens;
    const int valid = left < kWarpTokens ? static_cast<int>(left) : kWarpTokens;
    ConvolveChannels<T>(pair, words, valid, weights, at.ChannelBuffer(ring.index), row, warp,
                        first);
    ArriveWarpWritten(at.barriers().channel_full[ring.index]);
#pragma unroll
    for (int i = 0; i < kWarpTokens + kHalo; ++i) {
      words[i] = next[i];
    }
  }
  // Every warp has read what it needs of the past.
  asm volatile("bar.sync 1, 128;" ::: "memory");
  WriteConvStates<T>(at);
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_CONVOLVE_CUH_
