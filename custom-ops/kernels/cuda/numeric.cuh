// Scalars on the device: conversions between T and float32, and the functions of the operator's
// page.

#ifndef BAMBA_KERNELS_CUDA_NUMERIC_CUH_
#define BAMBA_KERNELS_CUDA_NUMERIC_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace bamba::cuda {

__device__ inline float ToFloat(float value) { return value; }
__device__ inline float ToFloat(__half value) { return __half2float(value); }
__device__ inline float ToFloat(__nv_bfloat16 value) { return __bfloat162float(value); }

template <typename T>
__device__ inline T FromFloat(float value) {
  if constexpr (std::is_same_v<T, float>) {
    return value;
  } else if constexpr (std::is_same_v<T, __half>) {
    return __float2half_rn(value);
  } else {
    return __float2bfloat16_rn(value);
  }
}

// What is left of a value once it is stored as T.
template <typename T>
__device__ inline float RoundTo(float value) {
  return ToFloat(FromFloat<T>(value));
}

__device__ inline float Softplus(float value) {
  return fmaxf(value, 0.0f) + log1pf(expf(-fabsf(value)));
}

__device__ inline float Silu(float value) { return value / (1.0f + expf(-value)); }

// dt of a token: softplus and clamp.
__device__ inline float TimeStep(float dt, float bias, float dt_min, float dt_max) {
  return fminf(fmaxf(Softplus(dt + bias), dt_min), dt_max);
}

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_NUMERIC_CUH_
