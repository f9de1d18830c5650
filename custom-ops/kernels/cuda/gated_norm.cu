// The last stage: y = r / sqrt(mean of r² over a norm group + epsilon) * norm_weight, zero at
// tokens that are not real.

#include "launch.cuh"
#include "numeric.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace {

constexpr int kThreads = 256;
// Elements that a thread keeps in registers between the two looks at them.
constexpr int kHeld = 32;

__device__ float BlockSum(float value) {
  __shared__ float sums[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(~0u, value, offset);
  }
  if (threadIdx.x % 32 == 0) {
    sums[threadIdx.x / 32] = value;
  }
  __syncthreads();
  value = 0;
  for (float sum : sums) {
    value += sum;
  }
  return value;
}

// Four neighbours rounded to T and stored together.
template <typename T>
__device__ void StoreFour(T* target, float4 value) {
  struct alignas(4 * sizeof(T)) Four {
    T elements[4];
  };
  *reinterpret_cast<Four*>(target) = {
      {FromFloat<T>(value.x), FromFloat<T>(value.y), FromFloat<T>(value.z), FromFloat<T>(value.w)}};
}

// A block does one norm group of one token; groups of a multiple of 4 and at most kThreads * kHeld
// elements.
template <typename T>
__global__ void __launch_bounds__(kThreads) HeldNormKernel(Call call, const float* gated) {
  const int64_t groups = call.shape.inner() / call.shape.norm_group_size;
  const int64_t token = blockIdx.x / groups;
  const int64_t first = (blockIdx.x - token * groups) * call.shape.norm_group_size;
  const int size = static_cast<int>(call.shape.norm_group_size);
  T* y = static_cast<T*>(call.tensors.y) + token * call.shape.inner() + first;
  const float* r = gated + token * call.shape.inner() + first;
  const float* weight = call.tensors.norm_weight + first;
  const bool real = OwnerOf(call, token) >= 0;
  WaitForKernelBefore();
  float4 held[kHeld / 4] = {};
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kHeld / 4; ++i) {
    const int at = (i * kThreads + threadIdx.x) * 4;
    if (real && at < size) {
      held[i] = *reinterpret_cast<const float4*>(r + at);
      sum += held[i].x * held[i].x + held[i].y * held[i].y + held[i].z * held[i].z +
             held[i].w * held[i].w;
    }
  }
  const float scale = rsqrtf(BlockSum(sum) / static_cast<float>(size) + call.shape.epsilon);
#pragma unroll
  for (int i = 0; i < kHeld / 4; ++i) {
    const int at = (i * kThreads + threadIdx.x) * 4;
    if (at < size) {
      const float4 w = *reinterpret_cast<const float4*>(weight + at);
      StoreFour(y + at, make_float4(held[i].x * scale * w.x, held[i].y * scale * w.y,
                                    held[i].z * scale * w.z, held[i].w * scale * w.w));
    }
  }
}

// The same for groups of any size.
template <typename T>
__global__ void __launch_bounds__(kThreads) AnyNormKernel(Call call, const float* gated) {
  const int64_t groups = call.shape.inner() / call.shape.norm_group_size;
  const int64_t token = blockIdx.x / groups;
  const int64_t first = (blockIdx.x - token * groups) * call.shape.norm_group_size;
  const int64_t size = call.shape.norm_group_size;
  T* y = static_cast<T*>(call.tensors.y) + token * call.shape.inner() + first;
  const float* r = gated + token * call.shape.inner() + first;
  const bool real = OwnerOf(call, token) >= 0;
  WaitForKernelBefore();
  float sum = 0;
  for (int64_t i = threadIdx.x; real && i < size; i += kThreads) {
    sum += r[i] * r[i];
  }
  const float scale = rsqrtf(BlockSum(sum) / static_cast<float>(size) + call.shape.epsilon);
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    y[i] = FromFloat<T>(real ? r[i] * scale * call.tensors.norm_weight[first + i] : 0.0f);
  }
}

}  // namespace

template <typename T>
cudaError_t GatedNorm(const Call& call, const float* gated, const Device& device,
                      cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  const int64_t blocks = shape.batch * shape.length * (shape.inner() / shape.norm_group_size);
  if (blocks == 0) {
    return cudaSuccess;
  }
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(blocks));
  launch.threads = kThreads;
  launch.stream = stream;
  launch.overlaps = device.compute_capability >= 90;
  const bool held = shape.norm_group_size % 4 == 0 && shape.norm_group_size <= kThreads * kHeld;
  return Start(launch, held ? HeldNormKernel<T> : AnyNormKernel<T>, call, gated);
}

template cudaError_t GatedNorm<float>(const Call&, const float*, const Device&, cudaStream_t);
template cudaError_t GatedNorm<__half>(const Call&, const float*, const Device&, cudaStream_t);
template cudaError_t GatedNorm<__nv_bfloat16>(const Call&, const float*, const Device&,
                                              cudaStream_t);

}  // namespace bamba::cuda
