// bamba::MatMulNBits on CUDA, for as many rows of x as a step of a few sequences has, where reading
// W is what takes time. A block computes 16 columns of y at a time, and its warps divide K. There
// are as many blocks as multiprocessors, and the stream of W goes on from one tile to the next; it
// begins before the kernel before is done. Every tile multiplies by the same x, which stays in
// shared memory.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "launch.cuh"
#include "nbits_call.cuh"
#include "nbits_products.cuh"
#include "nbits_staged_rows.cuh"
#include "nbits_stream.cuh"
#include "nbits_ways.h"

namespace bamba::cuda::nbits {
namespace {

// A warp's way through the pieces of its block's tiles. The warps take them in turns, and go on so
// from one tile to the next: all have as many to do wherever a row ends.
class TurnPlace {
 public:
  // Long pieces have the fewest instructions for each byte.
  static constexpr int kPiece = 4;
  static constexpr int kAhead = 2;

  __device__ explicit TurnPlace(const Call& call)
      : tile(static_cast<int>(blockIdx.x)), piece(static_cast<int>(threadIdx.x / 32)) {
    Settle(call);
  }

  __device__ bool Exists(const Call& call) const { return tile < call.tiles; }

  // Whether the tile is another.
  __device__ bool Advance(const Call& call) {
    piece += kWarps;
    return Settle(call);
  }

  int tile;
  int piece;

 private:
  __device__ bool Settle(const Call& call) {
    bool moved = false;
    while (piece >= call.pieces) {
      piece -= call.pieces;
      tile += static_cast<int>(gridDim.x);
      moved = true;
    }
    return moved;
  }
};

// How the warps' sums of a tile become y. A block's tiles take the two halves of shared memory in
// turn, so that one barrier between them is enough, and warps take turns in adding up.
template <typename T>
class Adder {
 public:
  __device__ Adder(const Call& call, char* memory)
      : partial_(reinterpret_cast<float*>(memory)), rows_(static_cast<int>(call.shape.rows)) {}

  __host__ __device__ static size_t Bytes(const Call& call) {
    return 2 * kWarps * call.shape.rows * kTileColumns * sizeof(float);
  }

  // Stores a tile of y, and products begin anew.
  template <typename Sums>
  __device__ void Store(const Call& call, int tile, Sums& sums) {
    float* const partial = partial_ + turn_ % 2 * (kWarps * rows_ * kTileColumns);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = PartOfLane() * 2 + j % 2;
      const float sum = sums.Take(0, j);
      if (row < rows_) {
        partial[(threadIdx.x / 32 * rows_ + row) * kTileColumns + RowOfLane() +
                j / 2 * (kTileColumns / 2)] = sum;
      }
    }
    __syncthreads();
    for (int i = (threadIdx.x + turn_ * 32) % kThreads; i < rows_ * kTileColumns; i += kThreads) {
      const int row = i / kTileColumns;
      const int column = tile * kTileColumns + i % kTileColumns;
      if (column < call.shape.columns) {
        float sum = 0;
#pragma unroll
        for (int w = 0; w < kWarps; ++w) {
          sum += partial[w * rows_ * kTileColumns + i];
        }
        static_cast<T*>(call.tensors.y)[row * call.shape.columns + column] = FromFloat<T>(sum);
      }
    }
    ++turn_;
  }

 private:
  // Two of [warps, rows, columns of the tile].
  float* partial_;
  int rows_;
  unsigned turn_ = 0;
};

// A kernel's parts. kLays says that codes are multiplied by as they are laid into constants, which
// takes whole groups in chunks.
template <typename T, int kBits, ZeroPoints kZeros, bool kLaysCodes, int kGroups>
struct Step {
  static constexpr bool kLays = kLaysCodes;
  using Weights = LaneWeights<T, kZeros>;
  using Pieces = Stream<T, kBits, kZeros, kGroups, TurnPlace>;
  using Rows = StagedRows<T, kBits, kZeros, TurnPlace::kPiece>;
  using Sums = Products<T, kBits, kZeros, /*kRowTiles=*/1, kLays ? 1 : 2>;
  using Result = Adder<T>;

  static size_t SharedBytes(const Call& call) {
    return Pieces::Bytes() + Result::Bytes(call) + Rows::Bytes(call);
  }
};

extern __shared__ __align__(16) char shared_memory[];

// There is room for two blocks of a multiprocessor, so that those of the next product start early.
template <typename Kernel>
__global__ void __launch_bounds__(kThreads, 2) StepKernel(const __grid_constant__ Call call) {
  LetKernelAfterStart();
  typename Kernel::Pieces pieces(call, shared_memory);
#pragma unroll
  for (int i = 0; i < TurnPlace::kAhead; ++i) {
    pieces.Ask();
    EndPiece();
  }
  WaitForKernelBefore();
  typename Kernel::Result result(call, shared_memory + pieces.Bytes());
  typename Kernel::Rows rows(call, shared_memory + pieces.Bytes() + result.Bytes(call));
  rows.Stage(call);
  typename Kernel::Sums sums;
  for (int tile = blockIdx.x; tile < call.tiles; tile += gridDim.x) {
    while (pieces.place().tile == tile) {
      const int first_chunk = pieces.place().piece * TurnPlace::kPiece;
      WaitForPiece<TurnPlace::kAhead>();
#pragma unroll
      for (int c = 0; c < TurnPlace::kPiece; ++c) {
        const typename Kernel::Weights weights = pieces.Load(c);
        if constexpr (Kernel::kLays) {
          sums.MultiplyLaid(rows, weights, first_chunk + c);
        } else {
          sums.MultiplyScaled(rows, weights, first_chunk + c);
        }
      }
      pieces.Next();
      pieces.Ask();
      EndPiece();
    }
    result.Store(call, tile, sums);
  }
}

// Nothing where x has no room.
template <typename Kernel>
std::optional<cudaError_t> StartStep(const Call& call, const Device& device, cudaStream_t stream) {
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(std::min(call.tiles, device.multiprocessors)));
  launch.threads = kThreads;
  launch.shared_bytes = Kernel::SharedBytes(call);
  launch.stream = stream;
  launch.overlaps = call.overlaps;
  if (launch.shared_bytes > static_cast<size_t>(device.shared_bytes_per_block)) {
    return std::nullopt;
  }
  return Start(launch, StepKernel<Kernel>, call);
}

// kWholeGroups are the numbers of a piece's groups that have kernels of their own.
template <typename T, int kBits, ZeroPoints kZeros, bool kLays, int... kWholeGroups>
std::optional<cudaError_t> RunGroups(const Call& call, const Device& device, cudaStream_t stream) {
  auto* start = StartStep<Step<T, kBits, kZeros, kLays, 0>>;
  const int64_t groups = TurnPlace::kPiece * kChunk<kBits> / call.shape.block_size;
  if (groups > 0 && call.groups % groups == 0) {
    ((start =
          groups == kWholeGroups ? StartStep<Step<T, kBits, kZeros, kLays, kWholeGroups>> : start),
     ...);
  }
  return start(call, device, stream);
}

template <typename T, int kBits, ZeroPoints kZeros>
std::optional<cudaError_t> Run(const Call& described, const Device& device, cudaStream_t stream) {
  Call call = described;
  call.pieces = static_cast<int>(CeilDivide(call.shape.depth, TurnPlace::kPiece * kChunk<kBits>));
  if constexpr (kBits == 4 || std::is_same_v<T, __half>) {
    if (call.shape.block_size >= kChunk<kBits>) {
      return RunGroups<T, kBits, kZeros, true, 2, 4>(call, device, stream);
    }
  }
  return RunGroups<T, kBits, kZeros, false, 8, 16>(call, device, stream);
}

}  // namespace

template <typename T>
std::optional<cudaError_t> MultiplyStep(const Call& call, const Device& device,
                                        cudaStream_t stream) {
  if (call.shape.rows > kTileRows) {
    return std::nullopt;
  }
  return WithFormat(call.shape, [&]<int kBits, ZeroPoints kZeros>() {
    return Run<T, kBits, kZeros>(call, device, stream);
  });
}

template std::optional<cudaError_t> MultiplyStep<__half>(const Call&, const Device&, cudaStream_t);
template std::optional<cudaError_t> MultiplyStep<__nv_bfloat16>(const Call&, const Device&,
                                                                cudaStream_t);

}  // namespace bamba::cuda::nbits
