// The stream of W: how the pieces of its rows come into shared memory.

#ifndef BAMBA_KERNELS_CUDA_NBITS_STREAM_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_STREAM_CUH_

#include <cstdint>

#include "nbits_call.cuh"
#include "nbits_decode.cuh"

namespace bamba::cuda::nbits {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
// A lane has two rows of W, and four lanes share each.
constexpr int kLaneRows = 2;
constexpr int kLanesOfRow = 4;

// The codes that a lane loads at once, and the steps that they are decoded in.
template <int kBits>
constexpr int kLaneCodes = 128 / kBits;
template <int kBits>
constexpr int kSteps = kLaneCodes<kBits> / kStep;
// The words of a step.
template <int kBits>
constexpr int kWords = kStep* kBits / 32;
// Codes of a row of W that a warp multiplies at a time.
template <int kBits>
constexpr int kChunk = kLanesOfRow* kLaneCodes<kBits>;

// A chunk's bytes of a row of W.
constexpr int kChunkBytes = kLanesOfRow * sizeof(uint4);

// The place of a lane: lane l of a warp has rows l / 4 and l / 4 + 8 of the 16 of W, row l / 4 of
// each eight of x, and the l % 4th part of a chunk.
__device__ inline int RowOfLane() { return threadIdx.x % 32 / kLanesOfRow; }
__device__ inline int PartOfLane() { return threadIdx.x % kLanesOfRow; }

// The first of a lane's codes in a chunk.
template <int kBits>
__device__ inline int FirstCode(int chunk) {
  return chunk * kChunk<kBits> + PartOfLane() * kLaneCodes<kBits>;
}

// Copies kBytes to shared memory while the thread goes on; where they don't exist, words of four
// bytes become zero, and longer ones stay as they are.
template <int kBytes>
__device__ inline void CopyAsync(uint32_t to, const void* from, bool exists) {
#define BAMBA_COPY_EXISTING(COPY)              \
  asm volatile(                                \
      "{\n"                                    \
      ".reg .pred exists;\n"                   \
      "setp.ne.b32 exists, %2, 0;\n"           \
      "@exists " COPY                          \
      "\n"                                     \
      "}\n" ::"r"(to),                         \
      "l"(from), "r"(static_cast<int>(exists)) \
      : "memory")
  if constexpr (kBytes == 4) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from),
                 "r"(exists ? 4 : 0)
                 : "memory");
  } else if constexpr (kBytes == 16) {
    // Read once by the whole device: not worth a place in the first cache.
    BAMBA_COPY_EXISTING("cp.async.cg.shared.global [%0], [%1], 16;");
  } else {
    static_assert(kBytes == 8);
    BAMBA_COPY_EXISTING("cp.async.ca.shared.global [%0], [%1], 8;");
  }
#undef BAMBA_COPY_EXISTING
}

// Copies 16 bytes, which many blocks read; zeros where they don't exist.
__device__ inline void CopyAsyncOrZero(uint32_t to, const void* from, bool exists) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(exists ? 16 : 0)
               : "memory");
}

// The word of four bytes that an element of one or two lies in, and its place there.
template <typename Element>
constexpr int kOfWord = 4 / sizeof(Element);

template <typename Element>
__device__ inline const uint32_t* WordOf(const void* elements, uint32_t index) {
  return static_cast<const uint32_t*>(elements) + index / kOfWord<Element>;
}

template <typename Element>
__device__ inline Element ElementOfWord(uint32_t word, uint32_t index) {
  return reinterpret_cast<const Element*>(&word)[index % kOfWord<Element>];
}

// What was copied since the last call is a piece.
__device__ inline void EndPiece() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits for the oldest of kAhead pieces that are on their way.
template <int kAhead>
__device__ inline void WaitForPiece() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kAhead - 1) : "memory");
}

// What a lane has of a chunk of W.
template <typename T, ZeroPoints kZeros>
struct LaneWeights {
  uint32_t words[kLaneRows][4];
  float scales[kLaneRows];
  float zeros[kLaneRows];
};

// A warp's pieces, one after another, as far as they are the lane's. A lane copies to shared memory
// what it takes from there itself, so that lanes don't wait for one another. Place is a warp's way
// through W: a piece has Place::kPiece chunks of a row, and Place::kAhead are asked for before the
// first is taken. kGroups says how many whole groups are a piece, where rows end as pieces do; 0 is
// for all else.
template <typename T, int kBits, ZeroPoints kZeros, int kGroups, typename Place>
class Stream {
 public:
  __device__ Stream(const Call& call, char* memory)
      : call_(call),
        memory_(memory + threadIdx.x / 32 * (kAhead * kSlotBytes)),
        asked_(call),
        taken_(call) {}

  static constexpr size_t Bytes() { return kWarps * kAhead * kSlotBytes; }

  // Asks for a piece more; the caller ends it.
  __device__ void Ask() {
    const Place& place = asked_.place;
    const bool exists = place.Exists(call_);
#pragma unroll
    for (int r = 0; r < kLaneRows; ++r) {
      const uint8_t* codes = asked_.codes[r] + place.piece * (kPiece * kChunkBytes);
      if constexpr (kWhole) {
        const T* scales =
            static_cast<const T*>(call_.tensors.scales) + asked_.scales[r] + place.piece * kGroups;
#pragma unroll
        for (int i = 0; i < kScaleBytes / kScaleCopy; ++i) {
          CopyAsync<kScaleCopy>(Shared(Scales(asked_slot_, i, r)),
                                scales + i * (kScaleCopy / sizeof(T)), exists);
        }
      }
#pragma unroll
      for (int c = 0; c < kPiece; ++c) {
        const int group = GroupOf(place, c);
        const bool in_row = exists && (kWhole || group < call_.groups);
        CopyAsync<16>(Shared(Codes(asked_slot_, c, r)), codes + c * kChunkBytes, in_row);
        if constexpr (!kWhole) {
          CopyAsync<4>(Shared(Scales(asked_slot_, c, r)),
                       WordOf<T>(call_.tensors.scales, asked_.scales[r] + group), in_row);
        }
        if constexpr (kHasZeros) {
          CopyAsync<4>(Shared(Zeros(asked_slot_, c, r)),
                       WordOf<Zero>(call_.tensors.zero_points, asked_.zeros[r] + ZeroOf(group)),
                       in_row);
        }
      }
    }
    asked_.Advance(call_);
    asked_slot_ = After(asked_slot_);
  }

  // The piece that is taken next.
  __device__ const Place& place() const { return taken_.place; }

  // A chunk of it.
  __device__ LaneWeights<T, kZeros> Load(int c) const {
    LaneWeights<T, kZeros> weights;
    const int group = GroupOf(taken_.place, c);
#pragma unroll
    for (int r = 0; r < kLaneRows; ++r) {
      const uint4 words = *reinterpret_cast<const uint4*>(Codes(taken_slot_, c, r));
      weights.words[r][0] = words.x;
      weights.words[r][1] = words.y;
      weights.words[r][2] = words.z;
      weights.words[r][3] = words.w;
      weights.scales[r] = LoadScale(c, r, group);
      Zero zero = {};
      if constexpr (kHasZeros) {
        zero = ElementOfWord<Zero>(*reinterpret_cast<const uint32_t*>(Zeros(taken_slot_, c, r)),
                                   taken_.zeros[r] + ZeroOf(group));
      }
      weights.zeros[r] = ZeroPoint<T, kZeros>(zero, kBits, group);
    }
    return weights;
  }

  // Lets go of it: the next is taken, and its memory is asked into next.
  __device__ void Next() {
    taken_.Advance(call_);
    taken_slot_ = After(taken_slot_);
  }

 private:
  using Zero = StoredZero<T, kZeros>;
  static constexpr int kPiece = Place::kPiece;
  static constexpr int kAhead = Place::kAhead;
  static constexpr bool kHasZeros = kZeros != ZeroPoints::kMiddle;
  static constexpr bool kWhole = kGroups > 0;
  // Of a lane and a row of W. Scales come all of a piece together where its groups are whole, else
  // that of each chunk in its word; zero points come so always.
  static constexpr int kCodeBytes = kPiece * sizeof(uint4);
  static constexpr int kScaleBytes = kWhole ? kGroups * sizeof(T) : kPiece * sizeof(uint32_t);
  static constexpr int kZeroBytes = kHasZeros ? kPiece * sizeof(uint32_t) : 0;
  // What is copied together of the scales.
  static constexpr int kScaleCopy = !kWhole ? 4 : kScaleBytes < 16 ? kScaleBytes : 16;
  // Of a warp.
  static constexpr int kSlotBytes = 32 * kLaneRows * (kCodeBytes + kScaleBytes + kZeroBytes);

  // Where in W a piece lies.
  struct Source {
    __device__ explicit Source(const Call& call) : place(call) { FindRows(call); }

    __device__ void Advance(const Call& call) {
      if (place.Advance(call)) {
        FindRows(call);
      }
    }

    __device__ void FindRows(const Call& call) {
#pragma unroll
      for (int r = 0; r < kLaneRows; ++r) {
        // Rows of W past the last are the last again, and are not stored.
        const int column = min(place.tile * kTileColumns + RowOfLane() + r * (kTileColumns / 2),
                               static_cast<int>(call.shape.columns) - 1);
        codes[r] = call.tensors.codes + column * call.code_bytes + PartOfLane() * sizeof(uint4);
        scales[r] = FirstScale(call, column);
        zeros[r] = FirstZero<kZeros>(call, column);
      }
    }

    Place place;
    const uint8_t* codes[kLaneRows];
    // Where the numbers of its rows begin.
    uint32_t scales[kLaneRows];
    uint32_t zeros[kLaneRows];
  };

  static __device__ uint32_t ZeroOf(uint32_t group) { return ZeroOfRow<kZeros>(kBits, group); }

  // The lane's in a chunk.
  __device__ int GroupOf(const Place& place, int c) const {
    return kWhole ? place.piece * kGroups + InPiece(c)
                  : FirstCode<kBits>(place.piece * kPiece + c) >> call_.group_shift;
  }
  static __device__ int InPiece(int c) {
    return (c * kLanesOfRow + (kGroups > kPiece ? PartOfLane() : 0)) * kGroups /
           (kPiece * kLanesOfRow);
  }

  __device__ float LoadScale(int c, int r, int group) const {
    if constexpr (kWhole) {
      constexpr int kTogether = kScaleCopy / sizeof(T);
      const int at = InPiece(c);
      return ToFloat(
          reinterpret_cast<const T*>(Scales(taken_slot_, at / kTogether, r))[at % kTogether]);
    } else {
      return ToFloat(ElementOfWord<T>(*reinterpret_cast<const uint32_t*>(Scales(taken_slot_, c, r)),
                                      taken_.scales[r] + group));
    }
  }

  static __device__ int After(int slot) { return slot + 1 == kAhead ? 0 : slot + 1; }

  // In a slot: neighbouring lanes' shares lie side by side.
  __device__ char* Codes(int slot, int c, int r) const {
    return InSlot(slot, 0, c, r, sizeof(uint4));
  }
  __device__ char* Scales(int slot, int i, int r) const {
    return InSlot(slot, kCodeBytes, i, r, kScaleCopy);
  }
  __device__ char* Zeros(int slot, int c, int r) const {
    return InSlot(slot, kCodeBytes + kScaleBytes, c, r, sizeof(uint32_t));
  }
  // The lane's i-th of a row, after others that have `before` bytes of a lane and row.
  __device__ char* InSlot(int slot, int before, int i, int r, int bytes) const {
    return memory_ + slot * kSlotBytes + 32 * kLaneRows * before +
           ((i * kLaneRows + r) * 32 + threadIdx.x % 32) * bytes;
  }

  static __device__ uint32_t Shared(const char* memory) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(memory));
  }

  const Call& call_;
  // The warp's.
  char* memory_;
  // What is asked for next, and what is taken next.
  Source asked_;
  int asked_slot_ = 0;
  Source taken_;
  int taken_slot_ = 0;
};

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_STREAM_CUH_
