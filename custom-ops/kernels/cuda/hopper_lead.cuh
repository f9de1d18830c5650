// The roles of single warps, which run ahead of the others: lead makes the decays, copy brings the
// group's tiles.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_LEAD_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_LEAD_CUH_

#include "hopper_pipeline.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

// Chunks whose dt is on its way.
constexpr int kAhead = 4;

// log(1 + exp v) to a relative error of 2e-5, with the special function unit and, where 1 +
// exp(-|v|) would lose digits, the first terms of the logarithm's series.
__device__ inline float FastSoftplus(float v) {
  const float t = __expf(-fabsf(v));
  const float series = t * (1.0f - t * (0.5f - t * (1.0f / 3 - t * 0.25f)));
  return fmaxf(v, 0.0f) + (t < 0.03125f ? series : __logf(1.0f + t));
}

// dt of the head: a lane has two neighbouring tokens of a chunk.
template <typename T>
struct TimeSteps {
  const T* base;
  int64_t stride;
  int length;
  float bias;
  float a;  // A log2(e)
  float dt_min;
  float dt_max;

  __device__ TimeSteps(const Block& block, const Sequence& sequence)
      : base(static_cast<const T*>(block.call.tensors.zxbcdt) +
             sequence.first_token * block.call.shape.projected() + block.call.shape.inner() +
             block.call.shape.conv_channels() + block.head),
        stride(block.call.shape.projected()),
        length(static_cast<int>(sequence.length)),
        bias(block.call.tensors.dt_bias[block.head]),
        a(-expf(block.call.tensors.a_log[block.head]) * 1.4426950408889634f),
        dt_min(block.call.shape.dt_min),
        dt_max(block.call.shape.dt_max) {}

  // Two neighbours as they stand in zxbcdt: nothing is done with them here, so that nothing waits
  // for them.
  struct Raw {
    T tokens[2];
  };

  __device__ Raw Load(int start) const {
    const int token = start + static_cast<int>(threadIdx.x) % 32 * 2;
    Raw raw = {};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (token + i < length) {
        raw.tokens[i] = base[(token + i) * stride];
      }
    }
    return raw;
  }

  // After softplus and clamp; zeros past the end.
  __device__ float2 Step(int start, const Raw& raw) const {
    const int token = start + static_cast<int>(threadIdx.x) % 32 * 2;
    float dt[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float step = fminf(fmaxf(FastSoftplus(ToFloat(raw.tokens[i]) + bias), dt_min), dt_max);
      dt[i] = token + i < length ? step : 0;
    }
    return make_float2(dt[0], dt[1]);
  }
};

// A lane has the tokens 2 i and 2 i + 1.
__device__ inline void SumDecays(float2 dt, float a, Decays& decays) {
  const int lane = threadIdx.x % 32;
  const float2 step = make_float2(dt.x * a, dt.y * a);
  float sum = step.x + step.y;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const float before = __shfl_up_sync(~0u, sum, offset);
    sum += lane >= offset ? before : 0;
  }
  const float2 cs = make_float2(sum - step.y, sum);
  const auto store = [lane](float* tokens, float first, float second) {
    *reinterpret_cast<float2*>(tokens + 2 * lane) = make_float2(first, second);
  };
  const float last = __shfl_sync(~0u, sum, 31);
  store(decays.cs, cs.x, cs.y);
  store(decays.dt, dt.x, dt.y);
  store(decays.weight, Exp2(last - cs.x) * dt.x, Exp2(last - cs.y) * dt.y);
  store(decays.carried, Exp2(cs.x), Exp2(cs.y));
  float own_border = 0;
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    const float border = __shfl_sync(~0u, sum, 8 * i + 7);
    own_border = lane / 8 == i + 1 ? border : own_border;
    store(decays.until[i], Exp2(fminf(border - cs.x, 0)) * dt.x,
          Exp2(fminf(border - cs.y, 0)) * dt.y);
  }
  store(decays.since, Exp2(cs.x - own_border), Exp2(cs.y - own_border));
}

template <typename T>
__device__ inline void LeadRole(const Block& block) {
  Barriers& barriers = block.barriers();
  Ring<kDecayDepth> decays;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    const TimeSteps<T> steps(block, sequence);
    typename TimeSteps<T>::Raw coming[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      coming[i] = steps.Load(i * kChunk);
    }
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const float2 dt = steps.Step(chunk * kChunk, coming[0]);
#pragma unroll
      for (int i = 0; i + 1 < kAhead; ++i) {
        coming[i] = coming[i + 1];
      }
      coming[kAhead - 1] = steps.Load((chunk + kAhead) * kChunk);
      WaitEmpty(barriers.decay_empty[decays.index], decays.parity);
      SumDecays(dt, steps.a, block.DecayBuffer(decays.index));
      ArriveWarp(barriers.decay_full[decays.index]);
      decays.Next();
    }
  });
}

// Begins the copy of a chunk's inputs u and of the three tokens before them into the ring's next
// buffer. Tokens that are not the sequence's come along, or zeros: FillEnds puts that right.
__device__ inline void BeginInputs(const Block& block, const CUtensorMap& inputs, int64_t token,
                                   Ring<kInputDepth>& ring) {
  if (threadIdx.x % 32 == 0) {
    Barriers& barriers = block.barriers();
    WaitEmpty(barriers.input_empty[ring.index], ring.parity);
    const uint32_t full = SharedAddress(&barriers.input_full[ring.index]);
    ArriveExpecting(full, InputTile::kBytes);
    CopyBoxToShared(SharedAddress(block.InputBuffer(ring.index)), inputs,
                    static_cast<int>(block.call.shape.inner()) + block.head * kHeadDim,
                    static_cast<int>(token) - kHalo, full);
  }
  __syncwarp();
  ring.Next();
}

// The copy role. Inputs come a chunk before the group's tiles, which wait for a later station.
__device__ inline void CopyRole(const Block& block, const char* tiles,
                                const CUtensorMap& input_map) {
  const int64_t stride = block.call.shape.n_groups * GroupTile::kBytes;
  const char* group_tiles = tiles + block.group * static_cast<int64_t>(GroupTile::kBytes);
  Barriers& barriers = block.barriers();
  Ring<kGroupDepth> groups;
  Ring<kInputDepth> inputs;
  bool waited = false;
  block.ForEachSequence([&](const Sequence& sequence, int64_t first_tile, int chunks) {
    if (chunks > 0) {
      BeginInputs(block, input_map, sequence.first_token, inputs);
    }
    if (!waited) {
      // The tiles are the kernel before's; inputs are not.
      WaitForKernelBefore();
      waited = true;
    }
    for (int chunk = 0; chunk < chunks; ++chunk, groups.Next()) {
      if (chunk + 1 < chunks) {
        BeginInputs(block, input_map, sequence.first_token + (chunk + 1) * kChunk, inputs);
      }
      if (threadIdx.x % 32 == 0) {
        WaitEmpty(barriers.group_empty[groups.index], groups.parity);
        const uint32_t full = SharedAddress(&barriers.group_full[groups.index]);
        ArriveExpecting(full, GroupTile::kBytes);
        CopyToShared(SharedAddress(block.GroupBuffer(groups.index)),
                     group_tiles + (first_tile + chunk) * stride, GroupTile::kBytes, full);
      }
      __syncwarp();
    }
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_LEAD_CUH_
