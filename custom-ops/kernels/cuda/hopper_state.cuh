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
  const uint64_t x = Operand(channels + ChannelTile::kWeighted);
  const uint64_t b = Operand(group + GroupTile::kB);
  Pin(state.sums);
  ProductFence();
#pragma unroll
  for (int step = 0; step < kChunk / 16; ++step) {
    Product128<T>(state.sums, Further(x, 32 * step), Further(b, 32 * step));
  }
  CommitProducts();
  WaitProducts();
  Pin(state.sums);
}

template <typename T>
__device__ inline void StateRole(const Block& block) {
  Barriers& barriers = block.barriers();
  Ring<kGroupDepth> groups;
  Ring<kDecayDepth> decays;
  Ring<kChannelDepth> channels;
  Ring<kOutputs> readers;
  uint32_t parity = 0;
  block.ForEachSequence([&](const Sequence& sequence, int64_t, int chunks) {
    const int64_t offset =
        (sequence.state_row * block.call.shape.num_heads + block.head) * kHeadDim * kState;
    const float* past = block.call.tensors.past_recurrent_state + offset;
    float* present = block.call.tensors.present_recurrent_state + offset;
    StateFragment state;
    state.ForEachPair([&](int channel, int column, float& low, float& high) {
      const float2 pair = *reinterpret_cast<const float2*>(past + channel * kState + column);
      low = pair.x;
      high = pair.y;
    });
    for (int chunk = 0; chunk < chunks; ++chunk) {
      WaitEmpty(barriers.state_empty, parity);
      StoreOperand<T>(state, block.StateBuffer());
      ArriveWarpWritten(barriers.state_full[readers.index]);

      WaitFull(barriers.channel_full[channels.index], channels.parity);
      WaitFull(barriers.decay_full[decays.index], decays.parity);
      const float decay = Exp2(block.DecayBuffer(decays.index).cs[kChunk - 1]);
#pragma unroll
      for (float& sum : state.sums) {
        sum *= decay;
      }
      WaitFull(barriers.group_full[groups.index], groups.parity);
      AdvanceState<T>(state, block.ChannelBuffer(channels.index), block.GroupBuffer(groups.index));
      ArriveWarp(barriers.decay_empty[decays.index]);
      ArriveWarp(barriers.channel_empty[channels.index]);
      ArriveWarp(barriers.group_empty[groups.index]);
      groups.Next();
      decays.Next();
      channels.Next();
      readers.Next();
      parity ^= 1;
    }
    state.ForEachPair([&](int channel, int column, float low, float high) {
      *reinterpret_cast<float2*>(present + channel * kState + column) = make_float2(low, high);
    });
  });
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_STATE_CUH_
