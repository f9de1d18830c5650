// A block as a team for the stages that choose tokens.

#ifndef BAMBA_KERNELS_CUDA_BLOCK_TEAM_CUH_
#define BAMBA_KERNELS_CUDA_BLOCK_TEAM_CUH_

#include <cuda_runtime.h>

#include <cstdint>

#include "sample_numbers.h"

namespace bamba::cuda {

// Every thread of a block of kSize threads has one.
template <int kSize>
class BlockTeam {
 public:
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ static constexpr int size() { return kSize; }

  __device__ void Sync() { __syncthreads(); }

  __device__ uint64_t Min(uint64_t value) {
    __shared__ unsigned long long of_warps[kWarps];
    unsigned long long least = value;
    for (int step = kWarpSize / 2; step > 0; step /= 2) {
      const unsigned long long other = __shfl_xor_sync(kAll, least, step);
      least = other < least ? other : least;
    }
    if (lane() == 0) {
      of_warps[warp()] = least;
    }
    __syncthreads();
    least = of_warps[lane() % kWarps];
    for (int step = kWarpSize / 2; step > 0; step /= 2) {
      const unsigned long long other = __shfl_xor_sync(kAll, least, step);
      least = other < least ? other : least;
    }
    // The next call writes what this one read.
    __syncthreads();
    return least;
  }

  __device__ uint64_t Exclusive(uint64_t value) {
    return SumBefore(static_cast<unsigned long long>(value));
  }
  __device__ double Exclusive(double value) { return SumBefore(value); }

  // Memory of the block: two additions of 32 bits, since those of 64 are loops.
  __device__ void AddToOwn(sampling::Tally& tally, const sampling::Tally& more) const {
    AddWords(&tally.units, more.units);
    AddWords(&tally.rest, more.rest);
  }

  // Memory that blocks share.
  __device__ void AddToAll(sampling::Tally& tally, const sampling::Tally& more) const {
    if (more.units != 0) {
      atomicAdd(reinterpret_cast<unsigned long long*>(&tally.units), more.units);
    }
    atomicAdd(reinterpret_cast<unsigned long long*>(&tally.rest), more.rest);
  }

  __device__ int32_t Next(int32_t& count) const { return atomicAdd(&count, 1); }

  // Writes what the host may be waiting for, after all that this thread wrote.
  __device__ void Publish(int32_t* place, int32_t value) const {
    asm volatile("st.release.sys.global.s32 [%0], %1;" ::"l"(__cvta_generic_to_global(place)),
                 "r"(value)
                 : "memory");
  }

 private:
  static constexpr int kWarpSize = 32;
  static constexpr int kWarps = kSize / kWarpSize;
  static constexpr unsigned kAll = 0xffffffffu;
  static_assert(kSize % kWarpSize == 0 && kWarpSize % kWarps == 0,
                "a warp reads all warps' values");

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kWarpSize; }
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / kWarpSize; }

  __device__ static void AddWords(uint64_t* sum, uint64_t more) {
    unsigned* words = reinterpret_cast<unsigned*>(sum);
    const unsigned low = static_cast<unsigned>(more);
    unsigned high = static_cast<unsigned>(more >> 32);
    if (low != 0) {
      const unsigned before = atomicAdd(words, low);
      // Whoever carries the lower word past its end carries to the upper one.
      high += before + low < before ? 1 : 0;
    }
    if (high != 0) {
      atomicAdd(words + 1, high);
    }
  }

  // The sum of the lanes before this one.
  template <typename T>
  __device__ static T SumOfLanesBefore(T value) {
    T sum = value;
    for (int step = 1; step < kWarpSize; step *= 2) {
      const T other = __shfl_up_sync(kAll, sum, step);
      sum = lane() >= step ? other + sum : sum;
    }
    const T before = __shfl_up_sync(kAll, sum, 1);
    return lane() == 0 ? T{} : before;
  }

  template <typename T>
  __device__ static T SumBefore(T value) {
    __shared__ T of_warps[kWarps];
    const T in_warp = SumOfLanesBefore(value);
    if (lane() == kWarpSize - 1) {
      of_warps[warp()] = in_warp + value;
    }
    __syncthreads();
    const T warps = lane() < kWarps ? of_warps[lane()] : T{};
    const T before = __shfl_sync(kAll, SumOfLanesBefore(warps), warp());
    // The next call writes what this one read.
    __syncthreads();
    return before + in_warp;
  }
};

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_BLOCK_TEAM_CUH_
