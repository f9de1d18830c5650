#include "cuda_sample.h"

#include <cuda_runtime_api.h>

#include "cuda/sample_tokens_cuda.h"

namespace {

// Makes a device current, and at its end the one that was.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) : error_(cudaGetDevice(&before_)), device_(device) {
    if (error_ == cudaSuccess && before_ != device_) {
      error_ = cudaSetDevice(device_);
    }
  }
  ~CurrentDevice() {
    if (error_ == cudaSuccess && before_ != device_) {
      cudaSetDevice(before_);
    }
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

  cudaError_t error() const { return error_; }

 private:
  int before_ = 0;
  cudaError_t error_;
  int device_;
};

}  // namespace

size_t BambaSampleTokensWorkspace_1(int32_t rows, int32_t vocab) {
  return rows > 0 && vocab > 0 && vocab <= bamba::sampling::kMostTokens
             ? bamba::cuda::SampleTokensWorkspaceBytes(rows, vocab)
             : 0;
}

const char* BambaSampleTokens_1(const BambaSamplingStep* step, int device, void* stream) {
  const CurrentDevice current(device);
  cudaError_t error = current.error();
  if (error == cudaSuccess) {
    error = step == nullptr ? cudaErrorInvalidValue
                            : bamba::cuda::SampleTokens(*step, static_cast<cudaStream_t>(stream));
  }
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
