// A CUDA device, as far as kernels are chosen by it.

#ifndef BAMBA_KERNELS_CUDA_DEVICE_H_
#define BAMBA_KERNELS_CUDA_DEVICE_H_

#include <cuda_runtime_api.h>

namespace bamba::cuda {

// What a choice of kernels depends on, read once a device.
struct Device {
  int compute_capability = 0;  // major * 10 + minor
  int multiprocessors = 0;
  int shared_bytes_per_block = 0;  // the most a block may ask for
};

cudaError_t ReadDevice(int ordinal, Device& device);

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_DEVICE_H_
