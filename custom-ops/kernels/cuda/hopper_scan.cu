// The chunked scan for 16-bit types on compute capability 9.0, heads of 64 channels and a state of
// 128: Bamba's sizes.
//
// Three kernels: the first computes what the heads of a group share (hopper_prepare.cuh), the
// second gives a block one head of one sequence (hopper_pipeline.cuh), the third norms
// (hopper_norm.cuh).

#include <algorithm>

#include "hopper_convolve.cuh"
#include "hopper_lead.cuh"
#include "hopper_norm.cuh"
#include "hopper_output.cuh"
#include "hopper_prepare.cuh"
#include "hopper_state.cuh"
#include "launch.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace hopper {
namespace {

// zxbcdt as a matrix of tokens, of which the scan copies boxes: a chunk's channels of a head.
cudaError_t MapInputs(const Call& call, CUtensorMap& map) {
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found = {};
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                     &found);
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  if (encode == nullptr) {
    return cudaErrorNotSupported;
  }
  const Mamba2Shape& shape = call.shape;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(shape.projected()),
                              static_cast<cuuint64_t>(shape.batch * shape.length)};
  const cuuint64_t row_bytes[] = {sizes[0] * 2};
  const cuuint32_t box[] = {kHeadDim, InputTile::kRows};
  const cuuint32_t steps[] = {1, 1};
  const CUresult result =
      encode(&map,
             shape.data_type == DataType::kFloat16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                                   : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
             2, const_cast<void*>(call.tensors.zxbcdt), sizes, row_bytes, box, steps,
             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

// Blocks (head, sequences).
template <typename T>
__global__ void __launch_bounds__(kScanThreads, 1)
    ScanKernel(const __grid_constant__ Call call, const __grid_constant__ CUtensorMap inputs,
               const char* tiles, float* squares) {
  extern __shared__ char memory[];
  LetKernelAfterStart();
  const int head = blockIdx.x;
  const Block block = {call, head, head / static_cast<int>(call.shape.heads_per_group()),
                       memory + (1024 - SharedAddress(memory) % 1024) % 1024};
  if (threadIdx.x == 0) {
    InitBarriers(block.barriers());
  }
  __syncthreads();
  const int warpgroup = Uniform(threadIdx.x / kWarpgroup);
  if (warpgroup == 0) {
    StateRole<T>(block);
  } else if (warpgroup <= kOutputs) {
    OutputRole<T>(block, warpgroup - 1, squares);
  } else if (warpgroup == 1 + kOutputs) {
    ConvolveRole<T>(block);
  } else if (Uniform(threadIdx.x % kWarpgroup / 32) == 0) {
    LeadRole<T>(block);
  } else {
    CopyRole(block, tiles, inputs);
  }
}

}  // namespace
}  // namespace hopper

bool HopperScanFits(const Mamba2Shape& shape, const Device& device) {
  return device.compute_capability == 90 && shape.data_type != DataType::kFloat32 &&
         shape.head_dim == hopper::kHeadDim && shape.state_size == hopper::kState &&
         shape.conv_width <= hopper::kTaps && shape.num_heads % 8 == 0 &&
         shape.norm_group_size % hopper::kHeadDim == 0 && shape.length > 0 &&
         shape.num_sequences > 0;
}

namespace {

// Scratch memory: the group's tiles, and behind them the sums of squares of each token and head.
size_t GroupTilesBytes(const Mamba2Shape& shape) {
  // Whether a call is packed is not known here; the packed form needs the most.
  return static_cast<size_t>(hopper::MostTiles(shape, shape.batch == 1) * shape.n_groups) *
         hopper::GroupTile::kBytes;
}

}  // namespace

size_t HopperScanBytes(const Mamba2Shape& shape) {
  return GroupTilesBytes(shape) +
         static_cast<size_t>(shape.batch * shape.length * shape.num_heads) * sizeof(float);
}

template <typename T>
cudaError_t HopperScan(const Call& call, void* scratch, const Device& device, cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  char* tiles = static_cast<char*>(scratch);
  float* squares = reinterpret_cast<float*>(tiles + GroupTilesBytes(shape));
  Launch prepare;
  prepare.grid =
      dim3(static_cast<unsigned>(hopper::MostTiles(shape, call.tensors.cu_seqlens != nullptr)),
           static_cast<unsigned>(shape.n_groups));
  prepare.threads = hopper::kPrepareThreads;
  prepare.shared_bytes = hopper::kPrepareBytes;
  prepare.stream = stream;
  if (cudaError_t error = Start(prepare, hopper::PrepareKernel<T>, call, tiles);
      error != cudaSuccess) {
    return error;
  }
  CUtensorMap inputs;
  if (cudaError_t error = hopper::MapInputs(call, inputs); error != cudaSuccess) {
    return error;
  }
  Launch scan;
  // No more blocks than run at once: each goes on to further sequences.
  const int64_t rows = std::max<int64_t>(1, device.multiprocessors / shape.num_heads);
  scan.grid = dim3(static_cast<unsigned>(shape.num_heads),
                   static_cast<unsigned>(std::min(rows, shape.num_sequences)));
  scan.threads = hopper::kScanThreads;
  scan.shared_bytes = hopper::kScanBytes;
  scan.stream = stream;
  scan.overlaps = true;
  if (cudaError_t error = Start(scan, hopper::ScanKernel<T>, call, inputs, tiles, squares);
      error != cudaSuccess) {
    return error;
  }
  Launch norm;
  norm.grid = dim3(
      static_cast<unsigned>(shape.batch * shape.length * (shape.inner() / shape.norm_group_size)));
  norm.threads = hopper::kNormThreads;
  norm.stream = stream;
  norm.overlaps = true;
  return Start(norm, hopper::NormKernel<T>, call, squares);
}

template cudaError_t HopperScan<__half>(const Call&, void*, const Device&, cudaStream_t);
template cudaError_t HopperScan<__nv_bfloat16>(const Call&, void*, const Device&, cudaStream_t);

}  // namespace bamba::cuda
