// bamba::MatMulNBits on CUDA: which way a call goes.

#include <cstdint>

#include "launch.cuh"
#include "matmul_nbits_cuda.h"
#include "nbits_call.cuh"
#include "nbits_decode.cuh"
#include "nbits_ways.h"

namespace bamba::cuda {
namespace {

// Rows of x beyond which W is better written out once.
constexpr int64_t kMostRows = 128;

bool IsAligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

template <typename T>
cudaError_t Multiply(const nbits::Call& call, void* workspace, const Device& device,
                     cudaStream_t stream) {
  if (const auto error = nbits::MultiplyStep<T>(call, device, stream)) {
    return *error;
  }
  return nbits::MultiplyBatch<T>(call, workspace, device, stream);
}

}  // namespace

bool HasFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors) {
  // Numbers of groups are read four bytes at a time, and counted in 32 bits.
  constexpr int64_t kWhole = 4;
  constexpr int64_t kMost = int64_t{1} << 30;
  return shape.data_type != DataType::kFloat32 && shape.scale_type == shape.data_type &&
         shape.rows <= kMostRows && shape.depth <= kMost && shape.depth % nbits::kStep == 0 &&
         shape.columns * shape.groups() <= kMost && shape.columns % kWhole == 0 &&
         IsAligned(tensors.x) && IsAligned(tensors.codes) && IsAligned(tensors.scales) &&
         IsAligned(tensors.zero_points);
}

size_t FewRowsWorkspaceBytes(const MatMulNBitsShape& shape, const Device& device) {
  if (shape.rows == 0) {
    return 0;
  }
  const nbits::Call call = nbits::Describe(shape, {});
  return shape.data_type == DataType::kFloat16
             ? nbits::BatchWorkspaceBytes<__half>(call, device)
             : nbits::BatchWorkspaceBytes<__nv_bfloat16>(call, device);
}

cudaError_t MultiplyFewRows(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                            bool constant_weights, void* workspace, const Device& device,
                            cudaStream_t stream) {
  if (shape.rows == 0) {
    return cudaSuccess;
  }
  nbits::Call call = nbits::Describe(shape, tensors);
  call.overlaps = constant_weights && device.compute_capability >= 90;
  return shape.data_type == DataType::kFloat16
             ? Multiply<__half>(call, workspace, device, stream)
             : Multiply<__nv_bfloat16>(call, workspace, device, stream);
}

}  // namespace bamba::cuda
