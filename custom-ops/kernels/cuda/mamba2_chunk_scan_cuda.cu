// bamba::Mamba2ChunkScan on CUDA: chooses the kernels for a call and lays out their scratch memory.

#include <algorithm>

#include "launch.cuh"
#include "mamba2_chunk_scan_cuda.h"
#include "stages.cuh"

namespace bamba::cuda {
namespace {

// A step is one token a row; the lengths of packed sequences are known on the device only.
bool IsStep(const Mamba2Shape& shape, const Mamba2Tensors& tensors) {
  return shape.length == 1 && tensors.cu_seqlens == nullptr;
}

size_t GatedBytes(const Mamba2Shape& shape) {
  const size_t bytes =
      static_cast<size_t>(shape.batch * shape.length * shape.inner()) * sizeof(float);
  return CeilDivide(bytes, 256) * 256;
}

template <typename T>
cudaError_t Scan(const Call& call, void* workspace, const Device& device, cudaStream_t stream) {
  if constexpr (!std::is_same_v<T, float>) {
    if (HopperScanFits(call.shape, device)) {
      return HopperScan<T>(call, workspace, device, stream);
    }
  }
  float* gated = static_cast<float*>(workspace);
  void* scratch = static_cast<char*>(workspace) + GatedBytes(call.shape);
  if (cudaError_t error = PortableScan<T>(call, scratch, gated, device, stream);
      error != cudaSuccess) {
    return error;
  }
  return GatedNorm<T>(call, gated, device, stream);
}

template <typename T>
cudaError_t Run(const Call& call, void* workspace, const Device& device, cudaStream_t stream) {
  if (IsStep(call.shape, call.tensors)) {
    return Step<T>(call, static_cast<float*>(workspace), device, stream);
  }
  if (cudaError_t error = Scan<T>(call, workspace, device, stream); error != cudaSuccess) {
    return error;
  }
  return PassThrough(call, stream);
}

}  // namespace

size_t Mamba2WorkspaceBytes(const Mamba2Shape& shape, const Device& device) {
  const size_t scan = HopperScanFits(shape, device) ? HopperScanBytes(shape)
                                                    : GatedBytes(shape) + PortableScanBytes(shape);
  // Whether a call of one token a row is packed shows only in its tensors.
  return shape.length == 1 ? std::max(GatedBytes(shape) + StepBytes(shape), scan) : scan;
}

cudaError_t Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                            const Device& device, cudaStream_t stream) {
  const Call call = {shape, tensors};
  switch (shape.data_type) {
    case DataType::kFloat32:
      return Run<float>(call, workspace, device, stream);
    case DataType::kFloat16:
      return Run<__half>(call, workspace, device, stream);
    case DataType::kBFloat16:
      return Run<__nv_bfloat16>(call, workspace, device, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace bamba::cuda
