// The roles of single warps, which run ahead of the others: lead makes the decays, copy brings the
// group's tiles.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_LEAD_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_LEAD_CUH_

#include "hopper_pipeline.cuh"
#include "launch.cuh"

namespace bamba::cuda::hopper {

// log(1 + exp v) to a relative error of 2e-5, with the special function unit and, where 1 +
// exp(-|v|) would lose digits, the first terms of the logarithm's series.
__device__ inline float FastSoftplus(float v) {
  const float t = __expf(-fabsf(v));
  const float series = t * (1.0f - t * (0.5f - t * (1.0f / 3 - t * 0.25f)));
  return fmaxf(v, 0.0f) + (t < 0.03125f ? series : __logf(1.0f + t));
}

// dt of the head, brought to shared memory ahead of time: a lane copies two neighbouring tokens of
// a chunk, and it alone makes use of them.
template <typename T>
class TimeSteps {
 public:
  __device__ TimeSteps(const Block& block, const Sequence& sequence)
      : source_(static_cast<const T*>(block.call.tensors.zxbcdt) +
                sequence.first_token * block.call.shape.projected() + block.call.shape.inner() +
                block.call.shape.conv_channels() + block.head / 2 * 2),
        stride_(block.call.shape.projected()),
        length_(static_cast<int>(sequence.length)),
        first_(static_cast<int>(threadIdx.x) % 32 * 2),
        shift_(block.head % 2 * 16),
        buffers_(block.shared + SharedLayout::kTimeSteps + first_ * kTimeStepBytes),
        bias_(block.call.tensors.dt_bias[block.head]),
        dt_min_(block.call.shape.dt_min),
        dt_max_(block.call.shape.dt_max) {}

  // Begins the copies of what there is of the chunk that starts at a token.
  __device__ void Begin(int start, int buffer) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int token = start + first_ + i;
      if (token < length_) {
        CopyWord(SharedAddress(buffers_) + (buffer * kChunk + i) * kTimeStepBytes,
                 source_ + token * stride_);
      }
    }
    CommitCopies();
  }

  // After softplus and clamp; zeros past the end, whatever lies there.
  __device__ float2 Step(int start, int buffer) const {
    const uint2 words =
        *reinterpret_cast<const uint2*>(buffers_ + buffer * kChunk * kTimeStepBytes);
    const auto step = [&](uint32_t word, int token) {
      const float dt = Unpack<T>(word >> shift_).x + bias_;
      return token < length_ ? fminf(fmaxf(FastSoftplus(dt), dt_min_), dt_max_) : 0.0f;
    };
    return make_float2(step(words.x, start + first_), step(words.y, start + first_ + 1));
  }

 private:
  const T* source_;
  int64_t stride_;
  int length_;
  int first_;
  int shift_;
  const char* buffers_;
  float bias_;
  float dt_min_;
  float dt_max_;
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
  const float a = -expf(block.call.tensors.a_log[block.head]) * 1.4426950408889634f;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    const TimeSteps<T> steps(block, sequence);
    for (int i = 0; i < kTimeStepDepth; ++i) {
      steps.Begin(i * kChunk, i);
    }
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const int buffer = chunk % kTimeStepDepth;
      WaitCopies<kTimeStepDepth - 1>();
      const float2 dt = steps.Step(chunk * kChunk, buffer);
      __syncwarp();
      steps.Begin((chunk + kTimeStepDepth) * kChunk, buffer);
      WaitEmpty(barriers.decay_empty[decays.index], decays.parity);
      SumDecays(dt, a, block.DecayBuffer(decays.index));
      ArriveWarp(barriers.decay_full[decays.index]);
      decays.Next();
    }
  });
}

// Begins the copy of a chunk's inputs u and of the three tokens before them into the ring's next
// buffer. Tokens that are not the sequence's come along, or zeros: FillEnds puts that right.
__device__ inline void BeginInputs(const Block& block, const CUtensorMap& inputs, int64_t token,
                                   uint64_t policy, Ring<kInputDepth>& ring) {
  if (threadIdx.x % 32 == 0) {
    Barriers& barriers = block.barriers();
    WaitEmpty(barriers.input_empty[ring.index], ring.parity);
    const uint32_t full = SharedAddress(&barriers.input_full[ring.index]);
    ArriveExpecting(full, InputTile::kBytes);
    CopyBoxToShared(SharedAddress(block.InputBuffer(ring.index)), inputs,
                    static_cast<int>(block.call.shape.inner()) + block.head * kHeadDim,
                    static_cast<int>(token) - kHalo, full, policy);
  }
  __syncwarp();
  ring.Next();
}

constexpr int kInputsAhead = kInputDepth - 1;

// The copy role. Inputs come two chunks before the group's tiles, which wait for a later station.
__device__ inline void CopyRole(const Block& block, const char* tiles,
                                const CUtensorMap& input_map) {
  const int64_t stride = block.call.shape.n_groups * GroupTile::kBytes;
  const char* group_tiles = tiles + block.group * static_cast<int64_t>(GroupTile::kBytes);
  Barriers& barriers = block.barriers();
  Ring<kGroupDepth> groups;
  Ring<kInputDepth> inputs;
  // Inputs are read once; r, which the norm reads after them, is to stay in the cache.
  const uint64_t policy = ReadOncePolicy();
  bool waited = false;
  block.ForEachSequence([&](const Sequence& sequence, int64_t first_tile, int chunks) {
    for (int chunk = 0; chunk < min(chunks, kInputsAhead); ++chunk) {
      BeginInputs(block, input_map, sequence.first_token + chunk * kChunk, policy, inputs);
    }
    if (!waited) {
      // The tiles are the kernel before's; inputs are not.
      WaitForKernelBefore();
      waited = true;
    }
    for (int chunk = 0; chunk < chunks; ++chunk, groups.Next()) {
      if (chunk + kInputsAhead < chunks) {
        BeginInputs(block, input_map, sequence.first_token + (chunk + kInputsAhead) * kChunk,
                    policy, inputs);
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
