// The stations of the scan kernel and what they hand to each other.
//
// A block walks over the chunks of one head, sequence by sequence. Its warps have roles for life:
//
//   lead      one warp, ahead of the others: dt and the decays that follow from it
//   copy      one warp: brings the group's tiles (B, C, C Bᵀ) and the inputs of coming chunks
//   convolve  one warpgroup: x after convolution and SiLU
//   state     one warpgroup: the state, in registers; its value before each chunk is an operand
//   output    two warpgroups, in turn: r, which is y before the norm
//
// Each hand-over is a ring of buffers with two barriers a buffer: full and empty.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_PIPELINE_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_PIPELINE_CUH_

#include "hopper_tiles.cuh"

namespace bamba::cuda::hopper {

constexpr int kWarpgroup = 128;
constexpr int kOutputs = 2;  // warpgroups
constexpr int kScanThreads = (2 + kOutputs) * kWarpgroup + 2 * 32;

// x of a chunk as rows of channels, plain and weighted.
struct ChannelTile {
  static constexpr int kX = 0;
  static constexpr int kWeighted = TileBytes(kHeadDim);
  static constexpr int kBytes = 2 * TileBytes(kHeadDim);
};

// The decays of a chunk. Between blocks of 16 tokens a decay is a product of two: from the earlier
// token to the border, the token before the later token's block, and from there to the later token.
// Neither can overflow.
struct Decays {
  float cs[kChunk];  // sums of dt A log2(e): decays are powers of two
  float dt[kChunk];
  float weight[kChunk];    // exp(cs_last - cs) dt, a token's share in the state after the chunk
  float carried[kChunk];   // exp(cs), the share of the state before the chunk
  float since[kChunk];     // exp(cs - cs of the border)
  float until[3][kChunk];  // exp(cs of the border - cs) dt, for the borders 15, 31 and 47; of use
                           // before the border
};

// The inputs u of a chunk and of the three tokens before it, a row of 128 bytes a token.
struct InputTile {
  static constexpr int kRows = kChunk + kHalo;
  static constexpr int kBytes = kRows * kHeadDim * 2;
};

// dt of a token and of the other head of an even and an odd one: the least that a copy brings.
constexpr int kTimeStepBytes = 4;

// z of a chunk, a row of 128 bytes a token. Of each warp's 16 tokens only that warp makes use.
constexpr int kGateBytes = TileBytes(kChunk);

// The state as [64 channels][128 states], two tiles of 64 states each.
constexpr int kStateHalf = TileBytes(kHeadDim);
constexpr int kStateBytes = 2 * kStateHalf;

// A ring's place and turn.
template <int kDepth>
struct Ring {
  int index = 0;
  uint32_t parity = 0;

  __device__ void Next() {
    if (++index == kDepth) {
      index = 0;
      parity ^= 1;
    }
  }
  __device__ void Skip(int count) {
    for (int i = 0; i < count; ++i) {
      Next();
    }
  }
};

constexpr int kGroupDepth = 3;
constexpr int kDecayDepth = 4;
constexpr int kInputDepth = 3;
constexpr int kChannelDepth = 2;
// dt comes from memory in pieces of a sector each, which takes longer than a chunk.
constexpr int kTimeStepDepth = 4;

struct Barriers {
  uint64_t group_full[kGroupDepth];
  uint64_t group_empty[kGroupDepth];
  uint64_t input_full[kInputDepth];
  uint64_t input_empty[kInputDepth];
  uint64_t decay_full[kDecayDepth];
  uint64_t decay_empty[kDecayDepth];
  uint64_t channel_full[kChannelDepth];
  uint64_t channel_empty[kChannelDepth];
  uint64_t state_full[kOutputs];  // of one buffer: chunks in turn, each with its own reader
  uint64_t state_empty;
};

// A block's shared memory, from an address that is a multiple of 1,024.
struct SharedLayout {
  static constexpr int kGroups = 0;
  static constexpr int kChannels = kGroups + kGroupDepth * GroupTile::kBytes;
  static constexpr int kStates = kChannels + kChannelDepth * ChannelTile::kBytes;
  static constexpr int kGates = kStates + kStateBytes;
  static constexpr int kInputs = kGates + kOutputs * kGateBytes;
  static constexpr int kDecays = kInputs + kInputDepth * InputTile::kBytes;
  static constexpr int kTimeSteps = kDecays + kDecayDepth * static_cast<int>(sizeof(Decays));
  static constexpr int kBarriers = kTimeSteps + kTimeStepDepth * kChunk * kTimeStepBytes;
  static constexpr int kBytes = kBarriers + static_cast<int>(sizeof(Barriers));
};
constexpr int kScanBytes = SharedLayout::kBytes + 1024;

// A value that all threads of a warp have, in a way that the compiler knows of it and computes with
// it once a warp.
__device__ inline int Uniform(int value) { return __shfl_sync(~0u, value, 0); }

// What every role knows.
struct Block {
  const Call& call;
  int head;
  int group;
  char* shared;

  // Calls visit(sequence, its first tile, its chunks) for the sequences that the block does, in
  // order.
  template <typename Visit>
  __device__ void ForEachSequence(Visit visit) const {
    const int count = static_cast<int>(call.shape.num_sequences);
    for (int s = blockIdx.y; s < count; s += gridDim.y) {
      const Sequence sequence = SequenceAt(call, s);
      const int chunks = Uniform(static_cast<int>((sequence.length + kChunk - 1) / kChunk));
      visit(sequence, FirstTile(call, s), chunks);
    }
  }

  __device__ char* GroupBuffer(int i) const {
    return shared + SharedLayout::kGroups + i * GroupTile::kBytes;
  }
  __device__ char* ChannelBuffer(int i) const {
    return shared + SharedLayout::kChannels + i * ChannelTile::kBytes;
  }
  __device__ char* StateBuffer() const { return shared + SharedLayout::kStates; }
  __device__ char* GateBuffer(int i) const {
    return shared + SharedLayout::kGates + i * kGateBytes;
  }
  __device__ char* InputBuffer(int i) const {
    return shared + SharedLayout::kInputs + i * InputTile::kBytes;
  }
  __device__ Decays& DecayBuffer(int i) const {
    return reinterpret_cast<Decays*>(shared + SharedLayout::kDecays)[i];
  }
  __device__ Barriers& barriers() const {
    return *reinterpret_cast<Barriers*>(shared + SharedLayout::kBarriers);
  }
};

// A warp's arrivals at a barrier. One is enough, since __syncwarp orders what the warp did before
// it; racecheck follows threads one by one, and needs an arrival of each.
#ifdef BAMBA_RACECHECK
constexpr int kArrivals = 32;
#else
constexpr int kArrivals = 1;
#endif

// A warp arrives, after all its threads are done.
__device__ inline void ArriveWarp(uint64_t& barrier) {
  __syncwarp();
  if (threadIdx.x % 32 < kArrivals) {
    Arrive(SharedAddress(&barrier));
  }
}

// The same for what the warp wrote and matrix products will read.
__device__ inline void ArriveWarpWritten(uint64_t& barrier) {
  FenceAsyncProxy();
  ArriveWarp(barrier);
}

__device__ inline void WaitFull(uint64_t& barrier, uint32_t parity) {
  Wait(SharedAddress(&barrier), parity);
}

// A ring begins empty: the first turn passes at once.
__device__ inline void WaitEmpty(uint64_t& barrier, uint32_t parity) {
  Wait(SharedAddress(&barrier), parity ^ 1);
}

// Who arrives at each barrier: warps, and the one thread that starts bulk copies.
__device__ inline void InitBarriers(Barriers& barriers) {
  constexpr int kWarps = kWarpgroup / 32 * kArrivals;
  for (int i = 0; i < kGroupDepth; ++i) {
    InitBarrier(SharedAddress(&barriers.group_full[i]), 1);
    InitBarrier(SharedAddress(&barriers.group_empty[i]), 2 * kWarps);
  }
  for (int i = 0; i < kInputDepth; ++i) {
    InitBarrier(SharedAddress(&barriers.input_full[i]), 1);
    InitBarrier(SharedAddress(&barriers.input_empty[i]), kWarps);
  }
  for (int i = 0; i < kChannelDepth; ++i) {
    InitBarrier(SharedAddress(&barriers.channel_full[i]), kWarps);
    InitBarrier(SharedAddress(&barriers.channel_empty[i]), 2 * kWarps);
  }
  for (int i = 0; i < kDecayDepth; ++i) {
    InitBarrier(SharedAddress(&barriers.decay_full[i]), kArrivals);
    InitBarrier(SharedAddress(&barriers.decay_empty[i]), 3 * kWarps);
  }
  for (uint64_t& full : barriers.state_full) {
    InitBarrier(SharedAddress(&full), kWarps);
  }
  InitBarrier(SharedAddress(&barriers.state_empty), kWarps);
  FenceBarrierInit();
}

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_PIPELINE_CUH_
