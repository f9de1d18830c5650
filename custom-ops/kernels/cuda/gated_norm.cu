// The last stage of a prefill: y from r.

#include "gated_norm.cuh"
#include "launch.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace {

// A block does one norm group of one token. The last token comes first: its r was stored last and
// is still in the cache.
template <typename T, bool kHeld>
__global__ void __launch_bounds__(kNormThreads) GatedNormKernel(Call call, const float* gated) {
  const int64_t groups = call.shape.inner() / call.shape.norm_group_size;
  const int64_t at = gridDim.x - 1 - blockIdx.x;
  const int64_t token = at / groups;
  const bool real = OwnerOf(call, token) >= 0;
  WaitForKernelBefore();
  NormGroup<T, kHeld>(call, gated, token, at - token * groups, real);
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
  launch.threads = kNormThreads;
  launch.stream = stream;
  launch.overlaps = device.compute_capability >= 90;
  return Start(launch, NormIsHeld(shape) ? GatedNormKernel<T, true> : GatedNormKernel<T, false>,
               call, gated);
}

template cudaError_t GatedNorm<float>(const Call&, const float*, const Device&, cudaStream_t);
template cudaError_t GatedNorm<__half>(const Call&, const float*, const Device&, cudaStream_t);
template cudaError_t GatedNorm<__nv_bfloat16>(const Call&, const float*, const Device&,
                                              cudaStream_t);

}  // namespace bamba::cuda
