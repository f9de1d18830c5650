// bamba::MatMulNBits on CUDA, for the rows of x of a batch. A block computes 128 columns of y, each
// warp 16 of them, and x comes in pieces beside those of W, which all warps multiply by. Where the
// columns alone are too few for the device, blocks divide K as well, and a second kernel adds up
// what they have.

#include <algorithm>
#include <cstdint>

#include "launch.cuh"
#include "nbits_call.cuh"
#include "nbits_products.cuh"
#include "nbits_ring_rows.cuh"
#include "nbits_stream.cuh"
#include "nbits_ways.h"

namespace bamba::cuda::nbits {
namespace {

constexpr int kBlockColumns = kWarps * kTileColumns;
// Blocks of a multiprocessor: while one waits for its warps, the other goes on.
constexpr int kResident = 2;
// Chunks of a row of W that are a piece.
constexpr int kBatchPiece = 2;
// Pieces of K that are worth a block.
constexpr int kLeastPieces = 4;
// Tiles of rows that a block has at most: a power of two.
constexpr int kMostRowTiles = 8;
// Bytes of shared memory that a block gets on every device that the kernels are compiled for: those
// of compute capability 8.6 and 8.9 give the least.
constexpr size_t kLeastSharedBytes = 99 * 1024;

template <int kBits>
constexpr int kPieceCodes = kBatchPiece* kChunk<kBits>;

// A warp's way through the pieces of its tile, as far as they are the block's part of K.
template <int kPiecesAhead>
class ColumnPlace {
 public:
  static constexpr int kPiece = kBatchPiece;
  static constexpr int kAhead = kPiecesAhead;

  __device__ explicit ColumnPlace(const Call& call)
      : tile(static_cast<int>(blockIdx.x * kWarps + threadIdx.x / 32)),
        piece(static_cast<int>(blockIdx.y * call.pieces / gridDim.y)) {}

  static __device__ int End(const Call& call) {
    return static_cast<int>((blockIdx.y + 1) * call.pieces / gridDim.y);
  }

  __device__ bool Exists(const Call& call) const { return tile < call.tiles && piece < End(call); }

  // Whether the tile is another.
  __device__ bool Advance(const Call&) {
    ++piece;
    return false;
  }

  int tile;
  int piece;
};

template <typename T, int kBits, ZeroPoints kZeros, int kTilesOfRows, int kGroups>
struct Batch {
  using Element = T;
  static constexpr int kPieceDepth = kPieceCodes<kBits>;
  static constexpr int kRowTiles = kTilesOfRows;
  using Weights = LaneWeights<T, kZeros>;
  // As many as leave room for another block.
  static constexpr int kAhead = kRowTiles < kMostRowTiles ? 3 : 2;
  using Place = ColumnPlace<kAhead>;
  using Pieces = Stream<T, kBits, kZeros, kGroups, Place>;
  using Rows = RingRows<T, kBits, kRowTiles, kBatchPiece, kAhead>;
  using Sums = Products<T, kBits, kZeros, kRowTiles, kRowTiles == 1 ? 2 : 1>;

  static constexpr size_t SharedBytes() { return Pieces::Bytes() + Rows::Bytes(); }
};

extern __shared__ __align__(16) char shared_memory[];

// Blocks (128 columns, part of K, rows). y has the products, or with several parts of K `partial`,
// [parts, rows, columns].
template <typename Kernel>
__global__ void __launch_bounds__(kThreads, kResident)
    BatchKernel(const __grid_constant__ Call call, float* partial) {
  LetKernelAfterStart();
  typename Kernel::Pieces pieces(call, shared_memory);
#pragma unroll
  for (int i = 0; i < Kernel::kAhead; ++i) {
    pieces.Ask();
  }
  WaitForKernelBefore();
  const int first_row = static_cast<int>(blockIdx.z) * Kernel::kRowTiles * kTileRows;
  const int end = Kernel::Place::End(call);
  typename Kernel::Rows rows(call, first_row, pieces.place().piece, shared_memory + pieces.Bytes());
#pragma unroll
  for (int i = 0; i < Kernel::kAhead; ++i) {
    rows.Ask(end);
    EndPiece();
  }
  typename Kernel::Sums sums;
  while (pieces.place().piece < end) {
    WaitForPiece<Kernel::kAhead>();
    __syncthreads();
    if (pieces.place().Exists(call)) {
#pragma unroll
      for (int c = 0; c < kBatchPiece; ++c) {
        const typename Kernel::Weights weights = pieces.Load(c);
        sums.MultiplyScaled(rows, weights, c);
      }
    }
    __syncthreads();
    pieces.Next();
    rows.Next();
    pieces.Ask();
    rows.Ask(end);
    EndPiece();
  }
  using T = typename Kernel::Element;
  const int tile = pieces.place().tile;
#pragma unroll
  for (int i = 0; i < Kernel::kRowTiles; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = first_row + i * kTileRows + PartOfLane() * 2 + j % 2;
      const int column = tile * kTileColumns + RowOfLane() + j / 2 * (kTileColumns / 2);
      const float sum = sums.Take(i, j);
      if (row < call.shape.rows && column < call.shape.columns) {
        const int64_t at = row * call.shape.columns + column;
        if (gridDim.y == 1) {
          static_cast<T*>(call.tensors.y)[at] = FromFloat<T>(sum);
        } else {
          partial[blockIdx.y * call.shape.rows * call.shape.columns + at] = sum;
        }
      }
    }
  }
}

constexpr int kAddThreads = 256;

// y from the parts of K, in their order. Threads (elements of y).
template <typename T>
__global__ void __launch_bounds__(kAddThreads)
    AddKernel(const float* partial, int parts, int64_t elements, T* y) {
  LetKernelAfterStart();
  WaitForKernelBefore();
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kAddThreads + threadIdx.x;
  if (i < elements) {
    float sum = 0;
    for (int part = 0; part < parts; ++part) {
      sum += partial[part * elements + i];
    }
    y[i] = FromFloat<T>(sum);
  }
}

// How a call is computed.
struct Plan {
  cudaError_t (*start)(const Call& call, const Plan& plan, void* workspace, cudaStream_t stream);
  // Of K.
  int pieces;
  // Blocks that divide them.
  int parts;
};

template <typename Kernel>
cudaError_t StartBatch(const Call& described, const Plan& plan, void* workspace,
                       cudaStream_t stream) {
  Call call = described;
  call.pieces = plan.pieces;
  Launch launch;
  launch.grid =
      dim3(static_cast<unsigned>(CeilDivide(call.shape.columns, kBlockColumns)),
           static_cast<unsigned>(plan.parts),
           static_cast<unsigned>(CeilDivide(call.shape.rows, Kernel::kRowTiles * kTileRows)));
  launch.threads = kThreads;
  launch.shared_bytes = Kernel::SharedBytes();
  launch.stream = stream;
  launch.overlaps = call.overlaps;
  return Start(launch, BatchKernel<Kernel>, call, static_cast<float*>(workspace));
}

template <typename Kernel>
Plan PlanOf(const Call& call, const Device& device) {
  const int64_t pieces = CeilDivide(call.shape.depth, Kernel::kPieceDepth);
  const int64_t blocks = CeilDivide(call.shape.columns, kBlockColumns) *
                         CeilDivide(call.shape.rows, Kernel::kRowTiles * kTileRows);
  const int64_t parts = std::clamp<int64_t>(kResident * device.multiprocessors / blocks, 1,
                                            std::max<int64_t>(1, pieces / kLeastPieces));
  return {StartBatch<Kernel>, static_cast<int>(pieces), static_cast<int>(parts)};
}

// A block has kRowTiles tiles of rows, and half as many where those hold all rows, or where shared
// memory has no room for more.
template <typename T, int kBits, ZeroPoints kZeros, int kGroups, int kRowTiles = kMostRowTiles>
Plan PlanRows(const Call& call, const Device& device) {
  using Kernel = Batch<T, kBits, kZeros, kRowTiles, kGroups>;
  if constexpr (kRowTiles == 1) {
    static_assert(Kernel::SharedBytes() <= kLeastSharedBytes);
  } else {
    constexpr int kFewer = kRowTiles / 2;
    if (call.shape.rows <= kFewer * kTileRows ||
        Kernel::SharedBytes() > static_cast<size_t>(device.shared_bytes_per_block)) {
      return PlanRows<T, kBits, kZeros, kGroups, kFewer>(call, device);
    }
  }
  return PlanOf<Kernel>(call, device);
}

template <typename T>
Plan PlanCall(const Call& call, const Device& device) {
  return WithFormat(call.shape, [&]<int kBits, ZeroPoints kZeros>() {
    // Of a piece, where whole ones have kernels of their own: groups of 128 codes of four bits.
    constexpr int kGroups = 2;
    return call.shape.block_size * kGroups == kPieceCodes<kBits> && call.groups % kGroups == 0
               ? PlanRows<T, kBits, kZeros, kGroups>(call, device)
               : PlanRows<T, kBits, kZeros, 0>(call, device);
  });
}

}  // namespace

template <typename T>
size_t BatchWorkspaceBytes(const Call& call, const Device& device) {
  const int parts = PlanCall<T>(call, device).parts;
  return parts == 1
             ? 0
             : static_cast<size_t>(parts * call.shape.rows * call.shape.columns) * sizeof(float);
}

template <typename T>
cudaError_t MultiplyBatch(const Call& call, void* workspace, const Device& device,
                          cudaStream_t stream) {
  const Plan plan = PlanCall<T>(call, device);
  const cudaError_t error = plan.start(call, plan, workspace, stream);
  if (error != cudaSuccess || plan.parts == 1) {
    return error;
  }
  const int64_t elements = call.shape.rows * call.shape.columns;
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(CeilDivide(elements, kAddThreads)));
  launch.threads = kAddThreads;
  launch.stream = stream;
  launch.overlaps = device.compute_capability >= 90;
  return Start(launch, AddKernel<T>, static_cast<const float*>(workspace), plan.parts, elements,
               static_cast<T*>(call.tensors.y));
}

template size_t BatchWorkspaceBytes<__half>(const Call&, const Device&);
template size_t BatchWorkspaceBytes<__nv_bfloat16>(const Call&, const Device&);
template cudaError_t MultiplyBatch<__half>(const Call&, void*, const Device&, cudaStream_t);
template cudaError_t MultiplyBatch<__nv_bfloat16>(const Call&, void*, const Device&, cudaStream_t);

}  // namespace bamba::cuda::nbits
