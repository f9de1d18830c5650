// The end of a decode step of Bamba's heads: y from r and the sums of r², and the conv state of B
// and C, which every head has read by then.

#ifndef BAMBA_KERNELS_CUDA_STEP_NORM_CUH_
#define BAMBA_KERNELS_CUDA_STEP_NORM_CUH_

#include "gated_norm.cuh"
#include "step_heads.cuh"

namespace bamba::cuda::step {

// Channels of a norm group that a block writes.
constexpr int kNormChannels = kNormThreads * 4;

inline int64_t NormBlocks(const Mamba2Shape& shape) {
  const int64_t groups = shape.inner() / shape.norm_group_size;
  return groups * CeilDivide(shape.norm_group_size, kNormChannels);
}

inline int64_t ShiftBlocks(const Mamba2Shape& shape) {
  return CeilDivide(shape.conv_channels() - shape.inner(), kNormThreads);
}

// Blocks (parts of norm groups, then of the conv state; row). Only the heads' results are waited
// for: the heads' kernel lets this one start once all that came before is done.
template <typename T>
__global__ void __launch_bounds__(kNormThreads)
    NormKernel(Call call, Scratch scratch, int norm_blocks) {
  const Mamba2Shape& shape = call.shape;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = blockIdx.y;
  const bool real = call.tensors.seq_lens[row] > 0;
  LetKernelAfterStart();
  if (blockIdx.x >= norm_blocks) {
    const int64_t channel = shape.inner() + (blockIdx.x - norm_blocks) * kNormThreads + thread;
    Channel<T> inputs;
    if (channel < shape.conv_channels()) {
      inputs.Load(call, row, channel);
    }
    WaitForKernelBefore();
    if (channel < shape.conv_channels()) {
      inputs.Store(call, row, channel, real);
    }
    return;
  }
  const int size = static_cast<int>(shape.norm_group_size);
  const int blocks_of_group = (size + kNormChannels - 1) / kNormChannels;
  const int group = blockIdx.x / blocks_of_group;
  const int in_group = (blockIdx.x - group * blocks_of_group) * kNormChannels + thread * 4;
  const int64_t channel = static_cast<int64_t>(group) * size + in_group;
  float4 weight = {};
  if (in_group < size) {
    weight = *reinterpret_cast<const float4*>(call.tensors.norm_weight + channel);
  }
  WaitForKernelBefore();
  float4 r = {};
  if (in_group < size && real) {
    r = *reinterpret_cast<const float4*>(scratch.gated + row * shape.inner() + channel);
  }
  constexpr int kChannelsOfSquare = kHeadDim / kSquaresOfHead;
  const int64_t first_square =
      (row * shape.inner() + static_cast<int64_t>(group) * size) / kChannelsOfSquare;
  const float4* squares = reinterpret_cast<const float4*>(scratch.squares + first_square);
  float sum = 0;
  for (int i = thread; i < size / kChannelsOfSquare / 4 && real; i += kNormThreads) {
    const float4 four = squares[i];
    sum += (four.x + four.y) + (four.z + four.w);
  }
  const float by = rsqrtf(BlockSum(sum) / static_cast<float>(size) + shape.epsilon);
  if (in_group < size) {
    StoreFour(static_cast<T*>(call.tensors.y) + row * shape.inner() + channel,
              make_float4(r.x * by * weight.x, r.y * by * weight.y, r.z * by * weight.z,
                          r.w * by * weight.w));
  }
}

}  // namespace bamba::cuda::step

#endif  // BAMBA_KERNELS_CUDA_STEP_NORM_CUH_
