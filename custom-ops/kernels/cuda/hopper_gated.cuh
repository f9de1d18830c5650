// How r lies in memory between scan and norm: rounded to T, where y will be, with the sum of
// squares of each token and head beside it.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_GATED_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_GATED_CUH_

#include <cuda_fp16.h>

#include <type_traits>

namespace bamba::cuda::hopper {

// r may lie outside float16's range, so there it is divided by a power of two near the root of the
// head's sum of squares. bfloat16 has float32's range.
template <typename T>
constexpr bool kScalesGated = std::is_same_v<T, __half>;

// The exponent of the largest power of two whose square is at most a sum of squares.
__device__ inline int ExponentOfRoot(float squares) {
  return ((__float_as_int(squares) >> 23) - 127) >> 1;
}

__device__ inline float PowerOfTwo(int exponent) { return __int_as_float((127 + exponent) << 23); }

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_GATED_CUH_
