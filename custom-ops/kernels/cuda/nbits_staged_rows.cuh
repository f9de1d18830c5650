// All of x in shared memory.

#ifndef BAMBA_KERNELS_CUDA_NBITS_STAGED_ROWS_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_STAGED_ROWS_CUH_

#include <cstdint>

#include "nbits_call.cuh"
#include "nbits_decode.cuh"
#include "nbits_stream.cuh"

namespace bamba::cuda::nbits {

// Up to eight rows of x, arranged as they are multiplied by, with sums of each chunk.
template <typename T, int kBits, ZeroPoints kZeros, int kPiece>
class StagedRows {
 public:
  __device__ StagedRows(const Call& call, char* memory)
      : memory_(memory),
        chunks_(call.pieces * kPiece),
        row_bytes_(chunks_ * kBytesOfChunk + kPad),
        starts_(reinterpret_cast<float*>(memory + static_cast<int>(call.shape.rows) * row_bytes_)),
        // Rows past the last are the last again, and are not stored.
        row_(memory + min(RowOfLane(), static_cast<int>(call.shape.rows) - 1) * row_bytes_ +
             PartOfLane() * sizeof(uint4)) {}

  static size_t Bytes(const Call& call) {
    const int64_t chunks = call.pieces * kPiece;
    return static_cast<size_t>(call.shape.rows * (chunks * kBytesOfChunk + kPad) +
                               chunks * kTileRows * kSums * sizeof(float));
  }

  // Copies the rows; all of the block's threads call it.
  __device__ void Stage(const Call& call) {
    // Of a chunk, which neighbouring lanes have.
    constexpr int kParts = kSteps<kBits> * kLanesOfRow;
    // Asked for together, since each takes long to come.
    constexpr int kBatch = 4;
    const int parts = chunks_ * kParts;
    const int all = static_cast<int>(call.shape.rows) * parts;
    for (int first = 0; first < all; first += kBatch * kThreads) {
      uint4 loaded[kBatch];
      int row[kBatch];
      int part[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        loaded[b] = {};
        row[b] = 0;
        part[b] = first + b * kThreads + threadIdx.x;
        while (part[b] >= parts) {
          part[b] -= parts;
          ++row[b];
        }
        const int k = part[b] / kParts * kChunk<kBits> + part[b] % kLanesOfRow * kLaneCodes<kBits> +
                      part[b] / kLanesOfRow % kSteps<kBits> * kStep;
        if (row[b] < call.shape.rows && k < call.shape.depth) {
          loaded[b] = *reinterpret_cast<const uint4*>(static_cast<const T*>(call.tensors.x) +
                                                      row[b] * call.shape.depth + k);
        }
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        if (first + b * kThreads < all) {
          StagePart<kParts>(loaded[b], row[b], part[b], row[b] < call.shape.rows);
        }
      }
    }
    __syncthreads();
  }

  __device__ void Load(int, int chunk, int step, uint32_t (&pairs)[kPairs]) const {
    const uint4 loaded = *reinterpret_cast<const uint4*>(row_ + chunk * kBytesOfChunk +
                                                         step * (kLanesOfRow * sizeof(uint4)));
    pairs[0] = loaded.x;
    pairs[1] = loaded.y;
    pairs[2] = loaded.z;
    pairs[3] = loaded.w;
  }

  // What sums of codes laid into constants start from, of the two rows of x whose sums the lane
  // has: minus what the constants add, and zero points if they all are the middle.
  __device__ float2 LoadStarts(int chunk) const { return LoadSums(starts_, chunk); }

  // Sums of x, which zero points are multiplied by.
  __device__ float2 LoadXSums(int chunk) const {
    return LoadSums(starts_ + chunks_ * kTileRows, chunk);
  }

 private:
  // Past the end of a row, so that neighbouring rows lie in other banks.
  static constexpr int kPad = 64;
  static constexpr int kBytesOfChunk = kChunk<kBits> * sizeof(T);
  // Of a chunk and a row of x.
  static constexpr int kSums = kZeros == ZeroPoints::kMiddle ? 1 : 2;

  template <int kParts>
  __device__ void StagePart(uint4 loaded, int row, int part, bool exists) {
    using Codes = Laid<T, kBits>;
    constexpr float kMiddle = kZeros == ZeroPoints::kMiddle ? 1 << (kBits - 1) : 0;
    uint32_t pairs[kPairs];
    Arrange<kBits>(loaded, pairs);
    const float even = Sum(pairs[0]) + Sum(pairs[1]);
    const float odd = Sum(pairs[2]) + Sum(pairs[3]);
    const float start = SumOf<kParts>(-(Codes::kConstant * Codes::kEvenFactor + kMiddle) * even -
                                      (Codes::kConstant * Codes::kOddFactor + kMiddle) * odd);
    float sum = 0;
    if constexpr (kZeros != ZeroPoints::kMiddle) {
      sum = SumOf<kParts>(even + odd);
    }
    if (!exists) {
      return;
    }
    *reinterpret_cast<uint4*>(memory_ + row * row_bytes_ + part * sizeof(uint4)) = {
        pairs[0], pairs[1], pairs[2], pairs[3]};
    if (part % kParts == 0) {
      float* const of_chunk = starts_ + part / kParts * kTileRows + row;
      *of_chunk = start;
      if constexpr (kZeros != ZeroPoints::kMiddle) {
        of_chunk[chunks_ * kTileRows] = sum;
      }
    }
  }

  // Of neighbouring lanes.
  template <int kLanes>
  static __device__ float SumOf(float value) {
#pragma unroll
    for (int other = kLanes / 2; other > 0; other /= 2) {
      value += __shfl_xor_sync(0xffffffff, value, other);
    }
    return value;
  }

  static __device__ float Sum(uint32_t pair) {
    const Pair<T> two = PairOf<T>(pair);
    return ToFloat(two.x) + ToFloat(two.y);
  }

  static __device__ float2 LoadSums(const float* sums, int chunk) {
    return *reinterpret_cast<const float2*>(sums + chunk * kTileRows + PartOfLane() * 2);
  }

  char* memory_;
  int chunks_;
  int row_bytes_;
  // [chunks, kTileRows], and after them the sums of x.
  float* starts_;
  // The lane's.
  const char* row_;
};

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_STAGED_ROWS_CUH_
