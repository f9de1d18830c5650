// The CUDA kernels against the scalar twin: those that this device gets, and those that any device
// of compute capability 8.0 gets.
//
//   kernel_tests_cuda [MOST_TOKENS]    leaves out rows of the table with more tokens, and choices
//   of
//                                      tokens among many scores

#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstdlib>
#include <limits>

#include "cuda/mamba2_chunk_scan_cuda.h"
#include "cuda/swiglu_cuda.h"
#include "device_step.h"
#include "device_tensors.h"
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
void SwiGluOnDevice(const SwiGluShape& shape, const SwiGluTensors& tensors) {
  const size_t bytes =
      static_cast<size_t>(shape.rows * shape.width * ElementBytes(shape.data_type));
  const auto offset = [](const void* host) { return reinterpret_cast<uintptr_t>(host) % 16; };
  const DeviceBuffer x(2 * bytes + offset(tensors.x));
  const DeviceBuffer y(bytes + offset(tensors.y));
  char* device_x = static_cast<char*>(x.data()) + offset(tensors.x);
  char* device_y = static_cast<char*>(y.data()) + offset(tensors.y);
  RequireCuda(cudaMemcpy(device_x, tensors.x, 2 * bytes, cudaMemcpyHostToDevice), "x");
  RequireCuda(cuda::SwiGlu(shape, {device_x, device_y}, /*stream=*/nullptr), "SwiGLU");
  RequireCuda(cudaMemcpy(tensors.y, device_y, bytes, cudaMemcpyDeviceToHost), "SwiGLU");
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
  tests::RunSwiGlu("CUDA", tests::SwiGluOnDevice, /*large=*/count == 1, tally);
  tests::RunSampling("CUDA", tests::SampleOnDevice,
                     count == 1 ? std::numeric_limits<int32_t>::max() : 4097, count == 1 ? 60 : 1,
                     tally);
  if (device.compute_capability > 80) {
    cuda::Device least = device;
    least.compute_capability = 80;
    tests::CudaImplementation portable(least);
    tests::RunSuite("CUDA as on 8.0", portable, most_tokens, tally);
  }
  return tests::Finish(tally);
}
