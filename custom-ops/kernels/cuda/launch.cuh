// Launching kernels: errors returned, and a kernel's start laid over the end of the one before it.

#ifndef BAMBA_KERNELS_CUDA_LAUNCH_CUH_
#define BAMBA_KERNELS_CUDA_LAUNCH_CUH_

#include <cuda_runtime.h>

#include <cstdint>

namespace bamba::cuda {

constexpr int64_t CeilDivide(int64_t value, int64_t by) { return (value + by - 1) / by; }

// What a kernel needs besides its arguments.
struct Launch {
  dim3 grid;
  unsigned threads = 0;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
  // Whether blocks may start while the kernel before them still runs. Such a kernel calls
  // WaitForKernelBefore before it touches what that one writes, and that one calls
  // LetKernelAfterStart.
  bool overlaps = false;
};

template <typename... Parameters, typename... Arguments>
cudaError_t Start(const Launch& launch, void (*kernel)(Parameters...), Arguments&&... arguments) {
  if (launch.shared_bytes > 48 * 1024) {
    // More than a block gets unasked.
    const cudaError_t error = cudaFuncSetAttribute(
        kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(launch.shared_bytes));
    if (error != cudaSuccess) {
      return error;
    }
  }
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = launch.grid;
  config.blockDim = dim3(launch.threads);
  config.dynamicSmemBytes = launch.shared_bytes;
  config.stream = launch.stream;
  config.attrs = &attribute;
  config.numAttrs = launch.overlaps ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

__device__ inline void WaitForKernelBefore() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

__device__ inline void LetKernelAfterStart() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_LAUNCH_CUH_
