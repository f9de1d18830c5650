// x in pieces of its rows, which come with those of W.

#ifndef BAMBA_KERNELS_CUDA_NBITS_RING_ROWS_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_RING_ROWS_CUH_

#include <cstdint>

#include "nbits_call.cuh"
#include "nbits_decode.cuh"
#include "nbits_stream.cuh"

namespace bamba::cuda::nbits {

// The block's rows of x, of which all threads ask for a piece together.
template <typename T, int kBits, int kRowTiles, int kPiece, int kAhead>
class RingRows {
 public:
  __device__ RingRows(const Call& call, int first_row, int first_piece, char* memory)
      : x_(static_cast<const T*>(call.tensors.x) + first_row * call.shape.depth),
        depth_(call.shape.depth),
        rows_(min(kMostRows, static_cast<int>(call.shape.rows) - first_row)),
        asked_(first_piece),
        memory_(memory),
        lane_(memory + RowOfLane() * kRowBytes + PartOfLane() * sizeof(uint4)) {}

  static constexpr size_t Bytes() { return kAhead * kSlotBytes; }

  // Asks for a piece more, with zeros past the end of a row; the caller ends it.
  __device__ void Ask(int end) {
    const auto to =
        static_cast<uint32_t>(__cvta_generic_to_shared(memory_)) + asked_slot_ * kSlotBytes;
    for (int i = threadIdx.x; i < rows_ * kParts && asked_ < end; i += kThreads) {
      const int row = i / kParts;
      const int part = i % kParts;
      const int64_t k = static_cast<int64_t>(asked_) * kPiece * kChunk<kBits> + part * kStep;
      CopyAsyncOrZero(to + row * kRowBytes + Place(part) * sizeof(uint4), x_ + row * depth_ + k,
                      k < depth_);
    }
    ++asked_;
    asked_slot_ = asked_slot_ + 1 == kAhead ? 0 : asked_slot_ + 1;
  }

  // Lets go of the piece that is taken.
  __device__ void Next() { taken_slot_ = taken_slot_ + 1 == kAhead ? 0 : taken_slot_ + 1; }

  // Of a chunk of the piece that is taken.
  __device__ void Load(int tile, int chunk, int step, uint32_t (&pairs)[kPairs]) const {
    Arrange<kBits>(*reinterpret_cast<const uint4*>(
                       lane_ + taken_slot_ * kSlotBytes + tile * (kTileRows * kRowBytes) +
                       (chunk * kSteps<kBits> + step) * (kLanesOfRow * sizeof(uint4))),
                   pairs);
  }

 private:
  static constexpr int kMostRows = kRowTiles * kTileRows;
  // Of a row's piece: what a lane loads at once.
  static constexpr int kParts = kPiece * kChunk<kBits> / kStep;
  // Past the end of a row, so that neighbouring rows lie in other banks.
  static constexpr int kPad = 64;
  static constexpr int kRowBytes = kParts * sizeof(uint4) + kPad;
  static constexpr int kSlotBytes = kMostRows * kRowBytes;

  // What the lanes of a row load together lies together: parts of lanes, and steps in them, change
  // places.
  static __device__ int Place(int part) {
    constexpr int kOfChunk = kSteps<kBits> * kLanesOfRow;
    const int in_chunk = part % kOfChunk;
    return part - in_chunk + in_chunk % kSteps<kBits> * kLanesOfRow + in_chunk / kSteps<kBits>;
  }

  const T* x_;
  int64_t depth_;
  int rows_;
  int asked_;
  int asked_slot_ = 0;
  int taken_slot_ = 0;
  char* memory_;
  const char* lane_;
};

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_RING_ROWS_CUH_
