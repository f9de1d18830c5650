// bamba::SwiGLU on CUDA: every element is read once and written once, 16 bytes at a time where the
// rows allow for it.

#include <algorithm>
#include <cstdint>
#include <limits>

#include "launch.cuh"
#include "numeric.cuh"
#include "swiglu_cuda.h"

namespace bamba::cuda {
namespace {

// Few, so that the one row of a step is spread over many multiprocessors.
constexpr int kThreads = 128;
constexpr int64_t kMostBlocksOfRow = 65535;
constexpr int kPackBytes = 16;

// Neighbours that are loaded and stored together.
template <typename T, int kElements>
struct alignas(kElements * sizeof(T)) Pack {
  T elements[kElements];
};

// Blocks (row, part of the row). `packs` is the width.
template <typename T, int kElements>
__global__ void __launch_bounds__(kThreads)
    SwiGluKernel(const Pack<T, kElements>* x, Pack<T, kElements>* y, int64_t packs) {
  LetKernelAfterStart();
  const int64_t row = blockIdx.x;
  const Pack<T, kElements>* gates = x + row * 2 * packs;
  const Pack<T, kElements>* ups = gates + packs;
  Pack<T, kElements>* results = y + row * packs;
  const int64_t stride = static_cast<int64_t>(gridDim.y) * kThreads;
  WaitForKernelBefore();
  for (int64_t i = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x; i < packs;
       i += stride) {
    const Pack<T, kElements> gate = gates[i];
    const Pack<T, kElements> up = ups[i];
    Pack<T, kElements> result;
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      result.elements[e] = FromFloat<T>(Silu(ToFloat(gate.elements[e])) * ToFloat(up.elements[e]));
    }
    results[i] = result;
  }
}

template <typename T, int kElements>
cudaError_t RunPacks(const SwiGluShape& shape, const SwiGluTensors& tensors, const Device& device,
                     cudaStream_t stream) {
  const int64_t packs = shape.width / kElements;
  Launch launch;
  launch.grid =
      dim3(static_cast<unsigned>(shape.rows),
           static_cast<unsigned>(std::min(CeilDivide(packs, kThreads), kMostBlocksOfRow)));
  launch.threads = kThreads;
  launch.stream = stream;
  launch.overlaps = device.compute_capability >= 90;
  return Start(launch, SwiGluKernel<T, kElements>,
               static_cast<const Pack<T, kElements>*>(tensors.x),
               static_cast<Pack<T, kElements>*>(tensors.y), packs);
}

bool IsAligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % kPackBytes == 0;
}

template <typename T>
cudaError_t Run(const SwiGluShape& shape, const SwiGluTensors& tensors, const Device& device,
                cudaStream_t stream) {
  constexpr int kElements = kPackBytes / sizeof(T);
  if (shape.width % kElements == 0 && IsAligned(tensors.x) && IsAligned(tensors.y)) {
    return RunPacks<T, kElements>(shape, tensors, device, stream);
  }
  return RunPacks<T, 1>(shape, tensors, device, stream);
}

}  // namespace

cudaError_t SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors, const Device& device,
                   cudaStream_t stream) {
  if (shape.rows == 0 || shape.width == 0) {
    return cudaSuccess;
  }
  if (shape.rows > std::numeric_limits<int32_t>::max()) {
    return cudaErrorInvalidValue;
  }
  switch (shape.data_type) {
    case DataType::kFloat32:
      return Run<float>(shape, tensors, device, stream);
    case DataType::kFloat16:
      return Run<__half>(shape, tensors, device, stream);
    case DataType::kBFloat16:
      return Run<__nv_bfloat16>(shape, tensors, device, stream);
  }
  return cudaErrorInvalidValue;
}

}  // namespace bamba::cuda
