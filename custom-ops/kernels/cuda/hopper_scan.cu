// The chunked scan for 16-bit types on compute capability 9.0, heads of 64 channels and a state of
// 128: Bamba's sizes.
//
// Two kernels: the first computes what the heads of a group share (hopper_prepare.cuh), the second
// gives a block one head of one sequence (hopper_pipeline.cuh).

#include "hopper_convolve.cuh"
#include "hopper_lead.cuh"
#include "hopper_output.cuh"
#include "hopper_prepare.cuh"
#include "hopper_state.cuh"
#include "launch.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace hopper {
namespace {

// Blocks (head, sequence).
template <typename T>
__global__ void __launch_bounds__(kScanThreads, 1)
    ScanKernel(Call call, const char* tiles, float* gated) {
  extern __shared__ char memory[];
  LetKernelAfterStart();
  const int head = blockIdx.x;
  const Sequence sequence = SequenceAt(call, blockIdx.y);
  const Station at = {call,
                      sequence,
                      head,
                      head / static_cast<int>(call.shape.heads_per_group()),
                      (sequence.length + kChunk - 1) / kChunk,
                      memory + (1024 - SharedAddress(memory) % 1024) % 1024};
  if (threadIdx.x == 0) {
    InitBarriers(at.barriers());
  }
  __syncthreads();
  const int warpgroup = threadIdx.x / kWarpgroup;
  if (warpgroup == 0) {
    StateRole<T>(at);
  } else if (warpgroup <= kOutputs) {
    OutputRole<T>(at, warpgroup - 1, gated);
  } else if (warpgroup == 1 + kOutputs) {
    ConvolveRole<T>(at);
  } else {
    LeadRole<T>(at, tiles);
  }
}

}  // namespace
}  // namespace hopper

bool HopperScanFits(const Mamba2Shape& shape, const Device& device) {
  return device.compute_capability == 90 && shape.data_type != DataType::kFloat32 &&
         shape.head_dim == hopper::kHeadDim && shape.state_size == hopper::kState &&
         shape.conv_width <= hopper::kTaps && shape.num_heads % 8 == 0;
}

size_t HopperScanBytes(const Mamba2Shape& shape) {
  // Whether a call is packed is not known here; the packed form needs the most.
  const int64_t tiles =
      shape.batch == 1 ? hopper::MostTiles(shape, true) : hopper::MostTiles(shape, false);
  return static_cast<size_t>(tiles * shape.n_groups) * hopper::GroupTile::kBytes;
}

template <typename T>
cudaError_t HopperScan(const Call& call, void* scratch, float* gated, cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  if (shape.num_sequences == 0) {
    return cudaSuccess;
  }
  char* tiles = static_cast<char*>(scratch);
  const auto prepare = hopper::PrepareKernel<T>;
  Launch launch;
  launch.threads = hopper::kPrepareThreads;
  launch.shared_bytes = hopper::kPrepareBytes;
  launch.stream = stream;
  const int64_t most = hopper::MostTiles(shape, call.tensors.cu_seqlens != nullptr);
  if (most > 0) {
    launch.grid = dim3(static_cast<unsigned>(most), static_cast<unsigned>(shape.n_groups));
    if (cudaError_t error = AllowShared(prepare, launch.shared_bytes); error != cudaSuccess) {
      return error;
    }
    if (cudaError_t error = Start(launch, prepare, call, tiles); error != cudaSuccess) {
      return error;
    }
  }
  const auto scan = hopper::ScanKernel<T>;
  launch.grid =
      dim3(static_cast<unsigned>(shape.num_heads), static_cast<unsigned>(shape.num_sequences));
  launch.threads = hopper::kScanThreads;
  launch.shared_bytes = hopper::kScanBytes;
  launch.overlaps = most > 0;
  if (cudaError_t error = AllowShared(scan, launch.shared_bytes); error != cudaSuccess) {
    return error;
  }
  return Start(launch, scan, call, tiles, gated);
}

template cudaError_t HopperScan<__half>(const Call&, void*, float*, cudaStream_t);
template cudaError_t HopperScan<__nv_bfloat16>(const Call&, void*, float*, cudaStream_t);

}  // namespace bamba::cuda
