// The library of CUDA kernels, as cuda_library.cc finds it.

#include "cuda_entry.h"

#include <cuda_runtime_api.h>

#include <array>
#include <mutex>

#include "cuda/mamba2_chunk_scan_cuda.h"
#include "cuda/matmul_nbits_cuda.h"
#include "cuda/swiglu_cuda.h"
#include "export.h"

namespace bamba::ops {
namespace {

const char* Problem(cudaError_t error) {
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// Reads a device once, and gives it.
const char* Read(int ordinal, cuda::Device& device) {
  static std::mutex mutex;
  static std::array<cuda::Device, 64> devices;
  if (ordinal < 0 || ordinal >= static_cast<int>(devices.size())) {
    return Problem(cudaErrorInvalidDevice);
  }
  const std::lock_guard<std::mutex> lock(mutex);
  cuda::Device& known = devices[ordinal];
  if (known.compute_capability == 0) {
    if (const char* problem = Problem(cuda::ReadDevice(ordinal, known))) {
      known = {};
      return problem;
    }
  }
  device = known;
  return nullptr;
}

const char* ScanWorkspaceBytes(const Mamba2Shape& shape, int ordinal, size_t& bytes) {
  cuda::Device device;
  if (const char* problem = Read(ordinal, device)) {
    return problem;
  }
  bytes = cuda::Mamba2WorkspaceBytes(shape, device);
  return nullptr;
}

const char* Scan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                 int ordinal, void* stream) {
  cuda::Device device;
  if (const char* problem = Read(ordinal, device)) {
    return problem;
  }
  return Problem(
      cuda::Mamba2ChunkScan(shape, tensors, workspace, device, static_cast<cudaStream_t>(stream)));
}

const char* SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors, int ordinal,
                   void* stream) {
  cuda::Device device;
  if (const char* problem = Read(ordinal, device)) {
    return problem;
  }
  return Problem(cuda::SwiGlu(shape, tensors, device, static_cast<cudaStream_t>(stream)));
}

const char* FewRowsWorkspaceBytes(const MatMulNBitsShape& shape, int ordinal, size_t& bytes) {
  cuda::Device device;
  if (const char* problem = Read(ordinal, device)) {
    return problem;
  }
  bytes = cuda::FewRowsWorkspaceBytes(shape, device);
  return nullptr;
}

const char* MultiplyFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                            bool constant_weights, void* workspace, int ordinal, void* stream) {
  cuda::Device device;
  if (const char* problem = Read(ordinal, device)) {
    return problem;
  }
  return Problem(cuda::MultiplyFewRows(shape, tensors, constant_weights, workspace, device,
                                       static_cast<cudaStream_t>(stream)));
}

const char* DequantizeWeights(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                              void* weights, void* stream) {
  return Problem(
      cuda::DequantizeWeights(shape, tensors, weights, static_cast<cudaStream_t>(stream)));
}

}  // namespace
}  // namespace bamba::ops

extern "C" BAMBA_EXPORT const bamba::ops::CudaKernels* BambaCudaKernels_4() {
  using namespace bamba;
  static const ops::CudaKernels kernels = {
      ops::ScanWorkspaceBytes,
      ops::Scan,
      ops::SwiGlu,
      cuda::HasFewRows,
      ops::FewRowsWorkspaceBytes,
      ops::MultiplyFewRows,
      ops::DequantizeWeights,
  };
  return &kernels;
}
