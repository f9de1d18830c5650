// bamba::MatMulNBits on CUDA. Few rows of x: a block computes 16 columns of y at a time. Its warps
// divide K, and each streams its part of 16 rows of W through shared memory into tensor cores,
// where the rows of W are the left operand and up to eight rows of x the right one. There are as
// many blocks as are resident, and the stream goes on from one tile to the next; it begins before
// the kernel before is done. What a warp multiplies by is the same in each tile, and stays in
// shared memory where there is room.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "launch.cuh"
#include "matmul_nbits_cuda.h"
#include "nbits_decode.cuh"

namespace bamba::cuda {
namespace {

using nbits::kPairs;
using nbits::kStep;

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
// A tile of the tensor cores: columns of y, and rows.
constexpr int kTileColumns = 16;
constexpr int kTileRows = 8;
// A lane has two rows of W, and four lanes share each.
constexpr int kLaneRows = 2;
constexpr int kLanesOfRow = 4;
// Chunks of W that a warp has asked for and not yet used.
constexpr int kAhead = 3;
// Blocks of a multiprocessor.
constexpr int kBlocks = 1;
// Rows of x beyond which W is better written out once.
constexpr int64_t kMostRows = 32;

// The codes that a lane loads at once, and the steps that they are decoded in.
template <int kBits>
constexpr int kLaneCodes = 128 / kBits;
template <int kBits>
constexpr int kSteps = kLaneCodes<kBits> / kStep;
// The words of a step.
template <int kBits>
constexpr int kWords = kStep* kBits / 32;
// Codes of a row of W that a warp takes at a time.
template <int kBits>
constexpr int kChunk = kLanesOfRow* kLaneCodes<kBits>;

// A chunk's bytes of a row of W.
constexpr int kChunkBytes = kLanesOfRow * sizeof(uint4);

// A call with what is worth computing once.
struct Call {
  MatMulNBitsShape shape;
  MatMulNBitsTensors tensors;
  int64_t code_bytes;
  int zero_point_bytes;
  int groups;
  // What a division by the size of a group shifts by.
  int group_shift;
  // Chunks of a row of W that a warp has.
  int chunks;
  // Of the columns of y.
  int tiles;
  // Whether the kernel before may still run.
  bool overlaps;
};

// A zero point as it lies in memory; nothing where all are the middle.
template <typename S, ZeroPoints kZeros>
using StoredZero = std::conditional_t<kZeros == ZeroPoints::kPacked, uint8_t, S>;

// A group's scale and zero point as they lie in memory.
template <typename S, ZeroPoints kZeros>
struct GroupNumbers {
  S scale;
  StoredZero<S, kZeros> zero;

  __device__ float Scale() const { return ToFloat(scale); }

  __device__ float Zero(int64_t bits, int group) const {
    if constexpr (kZeros == ZeroPoints::kMiddle) {
      return bits == 8 ? 128 : 8;
    } else if constexpr (kZeros == ZeroPoints::kPacked) {
      return static_cast<float>(bits == 8 ? zero : (zero >> (group % 2 * 4)) & 15);
    } else {
      return ToFloat(zero);
    }
  }
};

// Copies kBytes to shared memory while the thread goes on, of which those past the first `bytes`
// are zeros.
template <int kBytes>
__device__ inline void CopyAsync(void* to, const void* from, int bytes) {
  const auto shared = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (kBytes == 16) {
    // Read once by the whole device: not worth a place in the first cache.
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(from),
                 "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(from),
                 "n"(kBytes), "r"(bytes)
                 : "memory");
  }
}

// Of an array of elements of one or two bytes, the word of four that an element lies in, and its
// place there.
template <typename Element>
constexpr int kOfWord = 4 / sizeof(Element);

template <typename Element>
__device__ inline void CopyWordOf(void* to, const Element* elements, uint32_t index, bool exists) {
  CopyAsync<4>(to, reinterpret_cast<const uint32_t*>(elements) + index / kOfWord<Element>,
               exists ? 4 : 0);
}

template <typename Element>
__device__ inline Element ElementOfWord(const void* word, uint32_t index) {
  return static_cast<const Element*>(word)[index % kOfWord<Element>];
}

// A lane's share of a chunk of W.
template <typename T, ZeroPoints kZeros>
struct LaneWeights {
  uint32_t words[kLaneRows][4];
  GroupNumbers<T, kZeros> numbers[kLaneRows];
};

// sums += a * b, of which the lanes hold fragments.
template <typename T>
__device__ inline void MultiplyAdd(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2,
                                   uint32_t a3, uint32_t b0, uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
}

// The place of a lane: lane l of a warp has rows l / 4 and l / 4 + 8 of the 16 of W, row l / 4 of
// each eight of x, and the l % 4th part of a chunk.
__device__ inline int RowOfLane() { return threadIdx.x % 32 / kLanesOfRow; }
__device__ inline int PartOfLane() { return threadIdx.x % kLanesOfRow; }

// A warp's chunks lie between those of the others, and are counted over all of K.
__device__ inline int ChunkOfWarp(int i) { return i * kWarps + threadIdx.x / 32; }

extern __shared__ __align__(16) char shared_memory[];

// The stream of W: the chunks of the block's tiles one after another, as far as they are the
// lane's. A lane copies to shared memory what it takes from there itself, so that lanes don't wait
// for one another.
template <typename T, int kBits, ZeroPoints kZeros>
class Stream {
 public:
  __device__ explicit Stream(const Call& call) : call_(call), asked_(call, blockIdx.x) {
    FindCodes();
#pragma unroll
    for (int slot = 0; slot < kAhead; ++slot) {
      Ask(slot);
    }
  }

  static constexpr size_t Bytes() { return kThreads * kAhead * kSlotBytes; }

  // A tile's place in W.
  struct Tile {
    __device__ Tile(const Call& call, int tile) : number(tile) {
      const int first = tile * kTileColumns + RowOfLane();
#pragma unroll
      for (int r = 0; r < kLaneRows; ++r) {
        // Rows of W past the last are the last again, and are not stored.
        const int column =
            min(first + r * (kTileColumns / 2), static_cast<int>(call.shape.columns) - 1);
        scales[r] = column * call.groups;
        zeros[r] = kZeros == ZeroPoints::kPacked ? column * call.zero_point_bytes : scales[r];
        columns[r] = column;
      }
    }

    int number;
    int columns[kLaneRows];
    // Where the numbers of its rows begin.
    uint32_t scales[kLaneRows];
    uint32_t zeros[kLaneRows];
  };

  // What has come of a chunk, which counts as zeros where there is none.
  __device__ LaneWeights<T, kZeros> Take(int slot, const Tile& tile, int chunk) const {
    asm volatile("cp.async.wait_group %0;" ::"n"(kAhead - 1) : "memory");
    LaneWeights<T, kZeros> weights;
    const int group = GroupOf(chunk);
#pragma unroll
    for (int r = 0; r < kLaneRows; ++r) {
      const uint4 words = *reinterpret_cast<const uint4*>(Codes(slot, r));
      weights.words[r][0] = words.x;
      weights.words[r][1] = words.y;
      weights.words[r][2] = words.z;
      weights.words[r][3] = words.w;
      weights.numbers[r].scale = ElementOfWord<T>(Scale(slot, r), tile.scales[r] + group);
      if constexpr (kHasZeros) {
        weights.numbers[r].zero =
            ElementOfWord<Zero>(ZeroWord(slot, r), tile.zeros[r] + ZeroOf(group));
      }
    }
    return weights;
  }

  // Asks for a chunk more, whose slot the lane has done with.
  __device__ void Ask(int slot) {
    const int group = GroupOf(ChunkOfWarp(next_));
    const bool exists = asked_.number < call_.tiles && group < call_.groups;
#pragma unroll
    for (int r = 0; r < kLaneRows; ++r) {
      CopyAsync<16>(Codes(slot, r), codes_[r], exists ? 16 : 0);
      codes_[r] += kWarps * kChunkBytes;
      CopyWordOf(Scale(slot, r), static_cast<const T*>(call_.tensors.scales),
                 asked_.scales[r] + group, exists);
      if constexpr (kHasZeros) {
        CopyWordOf(ZeroWord(slot, r), static_cast<const Zero*>(call_.tensors.zero_points),
                   asked_.zeros[r] + ZeroOf(group), exists);
      }
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
    if (++next_ == call_.chunks) {
      next_ = 0;
      asked_ = Tile(call_, asked_.number + gridDim.x);
      FindCodes();
    }
  }

 private:
  using Zero = StoredZero<T, kZeros>;
  static constexpr bool kHasZeros = kZeros != ZeroPoints::kMiddle;
  // Of a lane.
  static constexpr int kSlotBytes = kLaneRows * (kHasZeros ? 24 : 20);

  __device__ int GroupOf(int chunk) const {
    return (chunk * kChunk<kBits> + PartOfLane() * kLaneCodes<kBits>) >> call_.group_shift;
  }
  // Where a group's zero point lies in a row of them.
  static __device__ uint32_t ZeroOf(uint32_t group) {
    return kZeros == ZeroPoints::kPacked && kBits == 4 ? group / 2 : group;
  }

  __device__ void FindCodes() {
#pragma unroll
    for (int r = 0; r < kLaneRows; ++r) {
      codes_[r] = call_.tensors.codes + asked_.columns[r] * call_.code_bytes +
                  (threadIdx.x / 32 * kLanesOfRow + PartOfLane()) * sizeof(uint4);
    }
  }

  // Neighbouring lanes' shares lie side by side.
  static __device__ char* Slot(int slot) {
    return shared_memory + (threadIdx.x / 32 * kAhead + slot) * (32 * kSlotBytes);
  }
  static __device__ char* Codes(int slot, int r) {
    return Slot(slot) + (r * 32 + threadIdx.x % 32) * 16;
  }
  static __device__ char* Scale(int slot, int r) {
    return Slot(slot) + kLaneRows * 32 * 16 + (r * 32 + threadIdx.x % 32) * 4;
  }
  static __device__ char* ZeroWord(int slot, int r) {
    return Slot(slot) + kLaneRows * 32 * 20 + (r * 32 + threadIdx.x % 32) * 4;
  }

  const Call& call_;
  // What is asked for next.
  Tile asked_;
  int next_ = 0;
  const uint8_t* codes_[kLaneRows];
};

// The rows of x that a lane multiplies by, read where they lie. Chunks are counted over all of K.
template <typename T, int kBits, int kRowTiles>
class DirectRows {
 public:
  __device__ DirectRows(const Call& call, char*) : depth_(static_cast<int>(call.shape.depth)) {
    const int first = blockIdx.y * kRowTiles * kTileRows + RowOfLane();
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
      // Rows past the last are the last again, and are not stored.
      const int row = min(first + i * kTileRows, static_cast<int>(call.shape.rows) - 1);
      rows_[i] = static_cast<const T*>(call.tensors.x) + row * call.shape.depth;
    }
  }

  __device__ void Load(int tile, int chunk, int step, uint32_t (&pairs)[kPairs]) const {
    const int k = chunk * kChunk<kBits> + PartOfLane() * kLaneCodes<kBits> + step * kStep;
    uint4 loaded = {};
    if (k < depth_) {
      loaded = *reinterpret_cast<const uint4*>(rows_[tile] + k);
    }
    nbits::Arrange<kBits>(loaded, pairs);
  }

 private:
  int depth_;
  const T* rows_[kRowTiles];
};

// What codes laid into constants have too much, of a chunk: times the scale, it is taken from a
// sum.
struct Excess {
  // Of the constants, and of zero points if they all are the middle.
  float constant;
  // The sum of x, which zero points are multiplied by.
  float x;
};

// Up to eight rows of x in shared memory, arranged as they are multiplied by, and the excess of
// each chunk.
template <typename T, int kBits, ZeroPoints kZeros>
class StagedRows {
 public:
  // Past the end of a row, so that neighbouring rows lie in other banks.
  static constexpr int kPad = 64;
  static constexpr int kBytesOfChunk = kChunk<kBits> * sizeof(T);

  __device__ StagedRows(const Call& call, char* memory)
      : memory_(memory),
        all_chunks_(kWarps * call.chunks),
        row_bytes_(all_chunks_ * kBytesOfChunk + kPad),
        rows_bytes_(static_cast<int>(call.shape.rows) * row_bytes_),
        row_(min(RowOfLane(), static_cast<int>(call.shape.rows) - 1)) {}

  static size_t Bytes(const Call& call) {
    const int64_t all_chunks = kWarps * call.chunks;
    return static_cast<size_t>(call.shape.rows * (all_chunks * kBytesOfChunk + kPad) +
                               all_chunks * kTileRows * sizeof(Excess));
  }

  // Copies the rows; all of the block's threads call it.
  __device__ void Stage(const Call& call) {
    // The lanes that have a chunk are neighbours.
    constexpr int kPieces = kSteps<kBits> * kLanesOfRow;
    const int pieces = static_cast<int>(call.shape.rows) * all_chunks_ * kPieces;
    // Asked for together, since each takes long to come.
    constexpr int kBatch = 4;
    for (int first = threadIdx.x; first - static_cast<int>(threadIdx.x) < pieces;
         first += kBatch * kThreads) {
      uint4 loaded[kBatch];
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const int i = first + b * kThreads;
        const int piece = i % (all_chunks_ * kPieces);
        const int k = piece / kPieces * kChunk<kBits> + piece % kLanesOfRow * kLaneCodes<kBits> +
                      piece / kLanesOfRow % kSteps<kBits> * kStep;
        loaded[b] = {};
        if (i < pieces && k < call.shape.depth) {
          loaded[b] =
              *reinterpret_cast<const uint4*>(static_cast<const T*>(call.tensors.x) +
                                              i / (all_chunks_ * kPieces) * call.shape.depth + k);
        }
      }
#pragma unroll
      for (int b = 0; b < kBatch; ++b) {
        const int i = first + b * kThreads;
        uint32_t pairs[kPairs];
        nbits::Arrange<kBits>(loaded[b], pairs);
        float even = Sum(pairs[0]) + Sum(pairs[2]);
        float odd = Sum(pairs[1]) + Sum(pairs[3]);
#pragma unroll
        for (int other = kPieces / 2; other > 0; other /= 2) {
          even += __shfl_xor_sync(0xffffffff, even, other);
          odd += __shfl_xor_sync(0xffffffff, odd, other);
        }
        if (i < pieces) {
          const int row = i / (all_chunks_ * kPieces);
          const int piece = i % (all_chunks_ * kPieces);
          *reinterpret_cast<uint4*>(memory_ + row * row_bytes_ + piece * sizeof(uint4)) = {
              pairs[0], pairs[1], pairs[2], pairs[3]};
          if (piece % kPieces == 0) {
            ExcessOf(piece / kPieces)[row] = MakeExcess(even, odd);
          }
        }
      }
    }
    __syncthreads();
  }

  __device__ void Load(int, int chunk, int step, uint32_t (&pairs)[kPairs]) const {
    const uint4 loaded =
        *reinterpret_cast<const uint4*>(memory_ + row_ * row_bytes_ + chunk * kBytesOfChunk +
                                        (step * kLanesOfRow + PartOfLane()) * sizeof(uint4));
    pairs[0] = loaded.x;
    pairs[1] = loaded.y;
    pairs[2] = loaded.z;
    pairs[3] = loaded.w;
  }

  // Of the two rows of x whose sums the lane has.
  __device__ void LoadExcess(int chunk, Excess (&excess)[2]) const {
    const float4 loaded = *reinterpret_cast<const float4*>(ExcessOf(chunk) + PartOfLane() * 2);
    excess[0] = {loaded.x, loaded.y};
    excess[1] = {loaded.z, loaded.w};
  }

 private:
  // After the rows.
  __device__ Excess* ExcessOf(int chunk) const {
    return reinterpret_cast<Excess*>(memory_ + rows_bytes_) + chunk * kTileRows;
  }

  static __device__ float Sum(uint32_t pair) {
    const nbits::Pair<T> two = nbits::PairOf<T>(pair);
    return ToFloat(two.x) + ToFloat(two.y);
  }

  static __device__ Excess MakeExcess(float even, float odd) {
    using Codes = nbits::Laid<T, kBits>;
    const float constant = Codes::kConstant * (Codes::kEvenFactor * even + Codes::kOddFactor * odd);
    constexpr float kMiddle = kZeros == ZeroPoints::kMiddle ? 1 << (kBits - 1) : 0;
    return {constant + kMiddle * (even + odd), even + odd};
  }

  char* memory_;
  int all_chunks_;
  int row_bytes_;
  int rows_bytes_;
  int row_;
};

// What a lane has summed of a tile of y.
template <typename T, int kBits, ZeroPoints kZeros, int kRowTiles>
class Sums {
 public:
  // Weights are scaled, and then multiplied by.
  template <typename Rows>
  __device__ void MultiplyScaled(const Call& call, const Rows& rows,
                                 const LaneWeights<T, kZeros>& weights, int chunk) {
    using Decoder = nbits::Decoder<T, kBits, kZeros != ZeroPoints::kScaleType>;
    const int k = chunk * kChunk<kBits> + PartOfLane() * kLaneCodes<kBits>;
    const int group = k >> call.group_shift;
    const Decoder upper(weights.numbers[0].Scale(), weights.numbers[0].Zero(kBits, group));
    const Decoder lower(weights.numbers[1].Scale(), weights.numbers[1].Zero(kBits, group));
#pragma unroll
    for (int step = 0; step < kSteps<kBits>; ++step) {
      uint32_t a[kLaneRows][kPairs];
      upper.Decode(weights.words[0] + step * kWords<kBits>, a[0]);
      lower.Decode(weights.words[1] + step * kWords<kBits>, a[1]);
#pragma unroll
      for (int i = 0; i < kRowTiles; ++i) {
        uint32_t b[kPairs];
        rows.Load(i, chunk, step, b);
        MultiplyAdd<T>(sums_[i], a[0][0], a[1][0], a[0][1], a[1][1], b[0], b[1]);
        MultiplyAdd<T>(sums_[i], a[0][2], a[1][2], a[0][3], a[1][3], b[2], b[3]);
      }
    }
  }

  // Codes are multiplied by as they are laid into constants, and their sums are scaled: where a
  // chunk has one group.
  __device__ void MultiplyLaid(const Call& call, const StagedRows<T, kBits, kZeros>& rows,
                               const LaneWeights<T, kZeros>& weights, int chunk) {
    using Codes = nbits::Laid<T, kBits>;
    float even[4] = {};
    float odd[4] = {};
#pragma unroll
    for (int step = 0; step < kSteps<kBits>; ++step) {
      uint32_t a[kLaneRows][kPairs];
      Codes::Lay(weights.words[0] + step * kWords<kBits>, a[0]);
      Codes::Lay(weights.words[1] + step * kWords<kBits>, a[1]);
      uint32_t b[kPairs];
      rows.Load(0, chunk, step, b);
      MultiplyAdd<T>(even, a[0][0], a[1][0], a[0][2], a[1][2], b[0], b[2]);
      MultiplyAdd<T>(odd, a[0][1], a[1][1], a[0][3], a[1][3], b[1], b[3]);
    }
    Excess excess[2];
    rows.LoadExcess(chunk, excess);
    const int group = chunk * kChunk<kBits> >> call.group_shift;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float sum = even[j] + Codes::kOddFactor * odd[j] - excess[j % 2].constant;
      if constexpr (kZeros != ZeroPoints::kMiddle) {
        sum -= weights.numbers[j / 2].Zero(kBits, group) * excess[j % 2].x;
      }
      sums_[0][j] += weights.numbers[j / 2].Scale() * sum;
    }
  }

  __device__ explicit Sums(char* memory) : halves_(reinterpret_cast<Half*>(memory)) {}

  static constexpr size_t Bytes() { return 2 * sizeof(Half); }

  // Adds up what the warps have of a tile, stores it and begins anew. A block's tiles take the two
  // halves of shared memory in turn, so that one barrier between them is enough.
  __device__ void Store(const Call& call, int tile) {
    Half& shared = halves_[turn_];
    turn_ = 1 - turn_;
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        shared[threadIdx.x / 32][i * kTileRows + PartOfLane() * 2 + j % 2]
              [RowOfLane() + j / 2 * (kTileColumns / 2)] = sums_[i][j];
        sums_[i][j] = 0;
      }
    }
    __syncthreads();
#pragma unroll
    for (int first = 0; first < kRowTiles * kTileRows * kTileColumns; first += kThreads) {
      const int i = first + threadIdx.x;
      const int row = blockIdx.y * kRowTiles * kTileRows + i / kTileColumns;
      const int column = tile * kTileColumns + i % kTileColumns;
      if (i < kRowTiles * kTileRows * kTileColumns && row < call.shape.rows &&
          column < call.shape.columns) {
        float sum = 0;
#pragma unroll
        for (int w = 0; w < kWarps; ++w) {
          sum += shared[w][i / kTileColumns][i % kTileColumns];
        }
        static_cast<T*>(call.tensors.y)[row * call.shape.columns + column] = FromFloat<T>(sum);
      }
    }
  }

 private:
  using Half = float[kWarps][kRowTiles * kTileRows][kTileColumns];

  Half* halves_;
  float sums_[kRowTiles][4] = {};
  int turn_ = 0;
};

// How a block has x, and what it scales.
enum class Way { kDirect, kStaged, kStagedLaid };

template <typename T, int kBits, ZeroPoints kZeros, int kRowTiles, Way kWay>
__global__ void __launch_bounds__(kThreads, kBlocks)
    FewRowsKernel(const __grid_constant__ Call call) {
  LetKernelAfterStart();
  Stream<T, kBits, kZeros> stream(call);
  WaitForKernelBefore();
  using Sum = Sums<T, kBits, kZeros, kRowTiles>;
  Sum sums(shared_memory + stream.Bytes());
  using Rows = std::conditional_t<kWay == Way::kDirect, DirectRows<T, kBits, kRowTiles>,
                                  StagedRows<T, kBits, kZeros>>;
  Rows rows(call, shared_memory + stream.Bytes() + sums.Bytes());
  if constexpr (kWay != Way::kDirect) {
    rows.Stage(call);
  }
  typename Stream<T, kBits, kZeros>::Tile tile(call, blockIdx.x);
  int next = 0;
  while (tile.number < call.tiles) {
#pragma unroll
    for (int slot = 0; slot < kAhead; ++slot) {
      if (tile.number < call.tiles) {
        const int chunk = ChunkOfWarp(next);
        const LaneWeights<T, kZeros> weights = stream.Take(slot, tile, chunk);
        if constexpr (kWay == Way::kStagedLaid) {
          sums.MultiplyLaid(call, rows, weights, chunk);
        } else {
          sums.MultiplyScaled(call, rows, weights, chunk);
        }
        stream.Ask(slot);
        if (++next == call.chunks) {
          sums.Store(call, tile.number);
          next = 0;
          tile = {call, tile.number + static_cast<int>(gridDim.x)};
        }
      }
    }
  }
}

template <typename T, int kBits, ZeroPoints kZeros, int kRowTiles, Way kWay>
cudaError_t StartFewRows(const Call& call, size_t rows_bytes, const Device& device,
                         cudaStream_t stream) {
  const int row_blocks = static_cast<int>(CeilDivide(call.shape.rows, kRowTiles * kTileRows));
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(std::min(
                         call.tiles, std::max(1, kBlocks * device.multiprocessors / row_blocks))),
                     static_cast<unsigned>(row_blocks));
  launch.threads = kThreads;
  launch.shared_bytes =
      Stream<T, kBits, kZeros>::Bytes() + Sums<T, kBits, kZeros, kRowTiles>::Bytes() + rows_bytes;
  launch.stream = stream;
  launch.overlaps = call.overlaps;
  return Start(launch, FewRowsKernel<T, kBits, kZeros, kRowTiles, kWay>, call);
}

template <typename T, int kBits, ZeroPoints kZeros>
cudaError_t RunRows(const Call& described, const Device& device, cudaStream_t stream) {
  Call call = described;
  call.chunks = static_cast<int>(CeilDivide(CeilDivide(call.shape.depth, kChunk<kBits>), kWarps));
  call.tiles = static_cast<int>(CeilDivide(call.shape.columns, kTileColumns));
  if (call.shape.rows > 2 * kTileRows) {
    return StartFewRows<T, kBits, kZeros, 4, Way::kDirect>(call, 0, device, stream);
  }
  if (call.shape.rows > kTileRows) {
    return StartFewRows<T, kBits, kZeros, 2, Way::kDirect>(call, 0, device, stream);
  }
  const size_t bytes = StagedRows<T, kBits, kZeros>::Bytes(call);
  if (bytes + Stream<T, kBits, kZeros>::Bytes() + Sums<T, kBits, kZeros, 1>::Bytes() >
      static_cast<size_t>(device.shared_bytes_per_block / kBlocks)) {
    return StartFewRows<T, kBits, kZeros, 1, Way::kDirect>(call, 0, device, stream);
  }
  if constexpr (kBits == 4 || std::is_same_v<T, __half>) {
    if (call.shape.block_size >= kChunk<kBits>) {
      return StartFewRows<T, kBits, kZeros, 1, Way::kStagedLaid>(call, bytes, device, stream);
    }
  }
  return StartFewRows<T, kBits, kZeros, 1, Way::kStaged>(call, bytes, device, stream);
}

template <typename T, int kBits>
cudaError_t RunZeros(const Call& call, const Device& device, cudaStream_t stream) {
  switch (call.shape.zero_points) {
    case ZeroPoints::kMiddle:
      return RunRows<T, kBits, ZeroPoints::kMiddle>(call, device, stream);
    case ZeroPoints::kPacked:
      return RunRows<T, kBits, ZeroPoints::kPacked>(call, device, stream);
    default:
      return RunRows<T, kBits, ZeroPoints::kScaleType>(call, device, stream);
  }
}

template <typename T>
cudaError_t Run(const Call& call, const Device& device, cudaStream_t stream) {
  return call.shape.bits == 4 ? RunZeros<T, 4>(call, device, stream)
                              : RunZeros<T, 8>(call, device, stream);
}

Call Describe(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
  Call call = {};
  call.shape = shape;
  call.tensors = tensors;
  call.code_bytes = shape.code_bytes();
  call.zero_point_bytes = static_cast<int>(shape.zero_point_bytes());
  call.groups = static_cast<int>(shape.groups());
  while ((int64_t{1} << call.group_shift) < shape.block_size) {
    ++call.group_shift;
  }
  return call;
}

bool IsAligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

constexpr int kDequantizeThreads = 128;
constexpr int64_t kMostBlocksOfRow = 65535;

// Blocks (row of W, part of the row); a thread takes eight neighbours at a time.
template <typename T, typename S, ZeroPoints kZeros>
__global__ void __launch_bounds__(kDequantizeThreads)
    DequantizeKernel(const __grid_constant__ Call call, T* weights) {
  const MatMulNBitsShape& shape = call.shape;
  const int64_t column = blockIdx.x;
  const uint8_t* codes = call.tensors.codes + column * call.code_bytes;
  T* row = weights + column * shape.depth;
  const int64_t stride = static_cast<int64_t>(gridDim.y) * kDequantizeThreads * kStep;
  for (int64_t k = (static_cast<int64_t>(blockIdx.y) * kDequantizeThreads + threadIdx.x) * kStep;
       k < shape.depth; k += stride) {
    const int group = static_cast<int>(k >> call.group_shift);
    GroupNumbers<S, kZeros> numbers = {};
    numbers.scale = static_cast<const S*>(call.tensors.scales)[column * call.groups + group];
    if constexpr (kZeros == ZeroPoints::kPacked) {
      numbers.zero = static_cast<const uint8_t*>(
          call.tensors
              .zero_points)[column * call.zero_point_bytes + (shape.bits == 4 ? group / 2 : group)];
    } else if constexpr (kZeros == ZeroPoints::kScaleType) {
      numbers.zero = static_cast<const S*>(call.tensors.zero_points)[column * call.groups + group];
    }
    const float scale = numbers.Scale();
    const float zero = numbers.Zero(shape.bits, group);
    alignas(16) T values[kStep];
#pragma unroll
    for (int i = 0; i < kStep; ++i) {
      const int64_t at = k + i;
      const int code = shape.bits == 8 ? codes[at] : (codes[at / 2] >> (at % 2 * 4)) & 15;
      values[i] = FromFloat<T>((code - zero) * scale);
    }
    if (shape.depth % kStep == 0) {
      constexpr int kPacks = kStep * sizeof(T) / sizeof(uint4);
#pragma unroll
      for (int i = 0; i < kPacks; ++i) {
        reinterpret_cast<uint4*>(row + k)[i] = reinterpret_cast<const uint4*>(values)[i];
      }
    } else {
      for (int i = 0; i < kStep && k + i < shape.depth; ++i) {
        row[k + i] = values[i];
      }
    }
  }
}

template <typename T, typename S>
cudaError_t Dequantize(const Call& call, void* weights, cudaStream_t stream) {
  const MatMulNBitsShape& shape = call.shape;
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(shape.columns),
                     static_cast<unsigned>(std::min(
                         CeilDivide(shape.depth, kDequantizeThreads * kStep), kMostBlocksOfRow)));
  launch.threads = kDequantizeThreads;
  launch.stream = stream;
  T* const first = static_cast<T*>(weights);
  switch (shape.zero_points) {
    case ZeroPoints::kMiddle:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kMiddle>, call, first);
    case ZeroPoints::kPacked:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kPacked>, call, first);
    default:
      return Start(launch, DequantizeKernel<T, S, ZeroPoints::kScaleType>, call, first);
  }
}

template <typename T>
cudaError_t DequantizeAs(const Call& call, void* weights, cudaStream_t stream) {
  switch (call.shape.scale_type) {
    case DataType::kFloat32:
      return Dequantize<T, float>(call, weights, stream);
    case DataType::kFloat16:
      return Dequantize<T, __half>(call, weights, stream);
    case DataType::kBFloat16:
      return Dequantize<T, __nv_bfloat16>(call, weights, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace

bool HasFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
  // Numbers are read four bytes at a time, and counted in 32 bits.
  constexpr int64_t kWhole = 4;
  constexpr int64_t kMost = int64_t{1} << 30;
  return shape.data_type != DataType::kFloat32 && shape.scale_type == shape.data_type &&
         shape.rows <= kMostRows && shape.depth <= kMost && shape.depth % kStep == 0 &&
         shape.columns * shape.groups() <= kMost && shape.columns % kWhole == 0 &&
         IsAligned(tensors.x) && IsAligned(tensors.codes) && IsAligned(tensors.scales) &&
         IsAligned(tensors.zero_points);
}

cudaError_t MultiplyFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                            bool constant_weights, const Device& device, cudaStream_t stream) {
  if (shape.rows == 0) {
    return cudaSuccess;
  }
  Call call = Describe(shape, tensors);
  call.overlaps = constant_weights && device.compute_capability >= 90;
  return shape.data_type == DataType::kFloat16 ? Run<__half>(call, device, stream)
                                               : Run<__nv_bfloat16>(call, device, stream);
}

cudaError_t DequantizeWeights(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                              void* weights, cudaStream_t stream) {
  const Call call = Describe(shape, tensors);
  switch (shape.data_type) {
    case DataType::kFloat32:
      return DequantizeAs<float>(call, weights, stream);
    case DataType::kFloat16:
      return DequantizeAs<__half>(call, weights, stream);
    case DataType::kBFloat16:
      return DequantizeAs<__nv_bfloat16>(call, weights, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace bamba::cuda
