#include "device.h"

namespace bamba::cuda {

cudaError_t ReadDevice(int ordinal, Device& device) {
  const struct {
    cudaDeviceAttr attribute;
    int* value;
  } wanted[] = {
      {cudaDevAttrMultiProcessorCount, &device.multiprocessors},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, &device.shared_bytes_per_block},
  };
  for (const auto& [attribute, value] : wanted) {
    if (cudaError_t error = cudaDeviceGetAttribute(value, attribute, ordinal);
        error != cudaSuccess) {
      return error;
    }
  }
  int major = 0;
  int minor = 0;
  if (cudaError_t error =
          cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal);
      error != cudaSuccess) {
    return error;
  }
  if (cudaError_t error =
          cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, ordinal);
      error != cudaSuccess) {
    return error;
  }
  device.compute_capability = major * 10 + minor;
  return cudaSuccess;
}

}  // namespace bamba::cuda
