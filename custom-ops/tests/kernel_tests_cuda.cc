// The CUDA kernels against the scalar twin: those that this device gets, and those that devices of
// compute capability 8.0 and 8.6 get.
//
//   kernel_tests_cuda [MOST_TOKENS]    leaves out rows of the table with more tokens, and choices
//   of
//                                      tokens among many scores

#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "cuda/mamba2_chunk_scan_cuda.h"
#include "cuda/matmul_nbits_cuda.h"
#include "cuda/swiglu_cuda.h"
#include "device_step.h"
#include "device_tensors.h"
#include "elements.h"
#include "matmul_nbits_cases.h"
#include "sampling_cases.h"
#include "suite.h"
#include "swiglu_cases.h"

namespace bamba::tests {
namespace {

class CudaImplementation : public Implementation {
 public:
  explicit CudaImplementation(const cuda::Device& device) : device_(device) {}

  void Run(const Mamba2Shape& shape, const Mamba2Tensors& tensors) override {
    const DeviceTensors on_device(shape, tensors);
    // Left as it comes: what a call needs of it, the call writes.
    const DeviceBuffer workspace(cuda::Mamba2WorkspaceBytes(shape, device_));
    RequireCuda(cuda::Mamba2ChunkScan(shape, on_device.tensors(), workspace.data(), device_,
                                      /*stream=*/nullptr),
                "Mamba2ChunkScan");
    RequireCuda(cudaDeviceSynchronize(), "Mamba2ChunkScan");
    on_device.CopyOutputs();
  }

 private:
  cuda::Device device_;
};

// Runs SwiGLU on copies in device memory.
void SwiGluOnDevice(const cuda::Device& device, const SwiGluShape& shape,
                    const SwiGluTensors& tensors) {
  const size_t bytes =
      static_cast<size_t>(shape.rows * shape.width * ElementBytes(shape.data_type));
  const auto offset = [](const void* host) { return reinterpret_cast<uintptr_t>(host) % 16; };
  const DeviceBuffer x(2 * bytes + offset(tensors.x));
  const DeviceBuffer y(bytes + offset(tensors.y));
  char* device_x = static_cast<char*>(x.data()) + offset(tensors.x);
  char* device_y = static_cast<char*>(y.data()) + offset(tensors.y);
  RequireCuda(cudaMemcpy(device_x, tensors.x, 2 * bytes, cudaMemcpyHostToDevice), "x");
  RequireCuda(cuda::SwiGlu(shape, {device_x, device_y}, device, /*stream=*/nullptr), "SwiGLU");
  RequireCuda(cudaMemcpy(tensors.y, device_y, bytes, cudaMemcpyDeviceToHost), "SwiGLU");
}

// A copy of a tensor in device memory, or nothing of nothing.
DeviceBuffer ToDevice(const void* host, int64_t bytes) {
  DeviceBuffer copy(host == nullptr ? 0 : static_cast<size_t>(bytes));
  if (copy.bytes() > 0) {
    RequireCuda(cudaMemcpy(copy.data(), host, copy.bytes(), cudaMemcpyHostToDevice), "copy");
  }
  return copy;
}

// y = x W^T of a W that lies here as T.
void Multiply(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
              const std::vector<char>& weights) {
  for (int64_t row = 0; row < shape.rows; ++row) {
    for (int64_t column = 0; column < shape.columns; ++column) {
      double sum = 0;
      for (int64_t k = 0; k < shape.depth; ++k) {
        sum += static_cast<double>(ElementAt(static_cast<const char*>(tensors.x), shape.data_type,
                                             row * shape.depth + k)) *
               ElementAt(weights.data(), shape.data_type, column * shape.depth + k);
      }
      StoreElement(static_cast<char*>(tensors.y), shape.data_type, row * shape.columns + column,
                   static_cast<float>(sum));
    }
  }
}

// Runs MatMulNBits on copies in device memory: whole where rows are few, else as far as kernels go,
// which is W.
void MatMulNBitsOnDevice(const cuda::Device& device, const MatMulNBitsShape& shape,
                         const MatMulNBitsTensors& tensors) {
  const int64_t element = ElementBytes(shape.data_type);
  const int64_t numbers = shape.columns * shape.groups() * ElementBytes(shape.scale_type);
  const DeviceBuffer x = ToDevice(tensors.x, shape.rows * shape.depth * element);
  const DeviceBuffer codes = ToDevice(tensors.codes, shape.columns * shape.code_bytes());
  const DeviceBuffer scales = ToDevice(tensors.scales, numbers);
  const DeviceBuffer zero_points =
      ToDevice(tensors.zero_points, shape.zero_points == ZeroPoints::kPacked
                                        ? shape.columns * shape.zero_point_bytes()
                                        : numbers);
  const DeviceBuffer y(static_cast<size_t>(shape.rows * shape.columns * element));
  const MatMulNBitsTensors on_device = {x.data(), static_cast<const uint8_t*>(codes.data()),
                                        scales.data(), zero_points.data(), y.data()};
  if (cuda::HasFewRows(shape, on_device)) {
    const DeviceBuffer workspace(cuda::FewRowsWorkspaceBytes(shape, device));
    RequireCuda(cuda::MultiplyFewRows(shape, on_device, /*constant_weights=*/true, workspace.data(),
                                      device, /*stream=*/nullptr),
                "MatMulNBits");
    RequireCuda(cudaMemcpy(tensors.y, y.data(), y.bytes(), cudaMemcpyDeviceToHost), "MatMulNBits");
    return;
  }
  std::vector<char> weights(static_cast<size_t>(shape.columns * shape.depth * element));
  const DeviceBuffer written(weights.size());
  RequireCuda(cuda::DequantizeWeights(shape, on_device, written.data(), /*stream=*/nullptr),
              "MatMulNBits");
  RequireCuda(cudaMemcpy(weights.data(), written.data(), weights.size(), cudaMemcpyDeviceToHost),
              "MatMulNBits");
  Multiply(shape, tensors, weights);
}

}  // namespace
}  // namespace bamba::tests

int main(int count, char** arguments) {
  using namespace bamba;
  const int64_t most_tokens =
      count > 1 ? std::atoll(arguments[1]) : std::numeric_limits<int64_t>::max();
  cuda::Device device;
  tests::RequireCuda(cuda::ReadDevice(0, device), "device 0");
  tests::Tally tally;
  tests::CudaImplementation best(device);
  tests::RunSuite("CUDA", best, most_tokens, tally);
  if (count == 1) {
    tests::RunLarge("CUDA", best, tally);
  }
  tests::RunSwiGlu(
      "CUDA",
      [&](const auto& shape, const auto& tensors) {
        tests::SwiGluOnDevice(device, shape, tensors);
      },
      /*large=*/count == 1, tally);
  tests::RunMatMulNBits(
      "CUDA",
      [&](const auto& shape, const auto& tensors) {
        tests::MatMulNBitsOnDevice(device, shape, tensors);
      },
      tests::Rounding::kWeights, tally);
  tests::RunSampling("CUDA", tests::SampleOnDevice,
                     count == 1 ? std::numeric_limits<int32_t>::max() : 4097, count == 1 ? 60 : 1,
                     tally);
  if (device.compute_capability > 80) {
    cuda::Device least = device;
    least.compute_capability = 80;
    tests::CudaImplementation portable(least);
    tests::RunSuite("CUDA as on 8.0", portable, most_tokens, tally);
  }
  constexpr int kSharedBytes86 = 99 * 1024;
  if (device.shared_bytes_per_block > kSharedBytes86) {
    cuda::Device least = device;
    least.compute_capability = 86;
    least.shared_bytes_per_block = kSharedBytes86;
    tests::RunMatMulNBits(
        "CUDA as on 8.6",
        [&](const auto& shape, const auto& tensors) {
          tests::MatMulNBitsOnDevice(least, shape, tensors);
        },
        tests::Rounding::kWeights, tally,
        // Others go no other way there.
        [](const auto& shape) { return cuda::HasFewRows(shape, {}); });
  }
  return tests::Finish(tally);
}
