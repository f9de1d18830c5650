// The state role: S in float32 registers, advanced a chunk at a time.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_STATE_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_STATE_CUH_

#include "hopper_pipeline.cuh"

namespace bamba::cuda::hopper {

// A thread's sums are, for rows g and g + 8 of its warp's 16, columns 8 j + 2 q and the next: j
// over sums[4 j ...].
struct StateFragment {
  float sums[kState / 2];

  // Calls visit(channel, state, sums[i], sums[i + 1]) for each pair of neighbours.
  template <typename Visit>
  __device__ void ForEachPair(Visit visit) {
    const int lane = threadIdx.x % 32;
    const int row = threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int j = 0; j < kState / 8; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        visit(ChannelOfRow(row + 8 * half), 8 * j + lane % 4 * 2, sums[4 * j + 2 * half],
              sums[4 * j + 2 * half + 1]);
      }
    }
  }
};

// The state as it stands, rounded to T, for the output role's products.
template <typename T>
__device__ inline void StoreOperand(const StateFragment& state, char* tile) {
  const int lane = threadIdx.x % 32;
  const int row = threadIdx.x / 32 % 4 * 16 + lane % 16;
  const uint32_t address = SharedAddress(tile);
#pragma unroll
  for (int j = 0; j < kState / 8; j += 2) {
    const float* s = &state.sums[4 * j];
    const int piece = j % 8 + lane / 16;
    StoreMatrices(address + j / 8 * kStateHalf + PieceOffset(row, piece), Pack<T>(s[0], s[1]),
                  Pack<T>(s[2], s[3]), Pack<T>(s[4], s[5]), Pack<T>(s[6], s[7]));
  }
}

template <typename T>
__device__ inline void AdvanceState(StateFragment& state, const char* channels, const char* group) {
  const uint32_t x = SharedAddress(channels + ChannelTile::kWeighted);
  const uint32_t b = SharedAddress(group + GroupTile::kB);
  Pin(state.sums);
  ProductFence();
#pragma unroll
  for (int step = 0; step < kChunk / 16; ++step) {
    Product128<T>(state.sums, Operand(x + 32 * step), Operand(b + 32 * step));
  }
  CommitProducts();
  WaitProducts();
  Pin(state.sums);
}

template <typename T>
__device__ inline void StateRole(const Station& at) {
  const int64_t offset =
      (at.sequence.state_row * at.call.shape.num_heads + at.head) * kHeadDim * kState;
  const float* past = at.call.tensors.past_recurrent_state + offset;
  float* present = at.call.tensors.present_recurrent_state + offset;
  StateFragment state;
  state.ForEachPair([&](int channel, int column, float& low, float& high) {
    const float2 pair = *reinterpret_cast<const float2*>(past + channel * kState + column);
    low = pair.x;
    high = pair.y;
  });
  Ring<kGroupDepth> groups;
  Ring<kDecayDepth> decays;
  Ring<kChannelDepth> channels;
  Ring<kOutputs> readers;
  uint32_t parity = 0;
  for (int64_t chunk = 0; chunk < at.chunks; ++chunk) {
    WaitEmpty(at.barriers().state_empty, parity);
    StoreOperand<T>(state, at.StateBuffer());
    ArriveWarpWritten(at.barriers().state_full[readers.index]);

    WaitFull(at.barriers().channel_full[channels.index], channels.parity);
    const float decay = Exp2(at.DecayBuffer(decays.index).cs[kChunk - 1]);
#pragma unroll
    for (float& sum : state.sums) {
      sum *= decay;
    }
    WaitFull(at.barriers().group_full[groups.index], groups.parity);
    AdvanceState<T>(state, at.ChannelBuffer(channels.index), at.GroupBuffer(groups.index));
    ArriveWarp(at.barriers().decay_empty[decays.index]);
    ArriveWarp(at.barriers().channel_empty[channels.index]);
    ArriveWarp(at.barriers().group_empty[groups.index]);
    groups.Next();
    decays.Next();
    channels.Next();
    readers.Next();
    parity ^= 1;
  }
  state.ForEachPair([&](int channel, int column, float low, float high) {
    *reinterpret_cast<float2*>(present + channel * kState + column) = make_float2(low, high);
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_STATE_CUH_
