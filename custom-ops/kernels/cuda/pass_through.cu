// The packed form's state rows that no sequence owns, and nothing where past and present are one
// buffer.

#include "launch.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__device__ void CopyRow(const T* from, T* to, int64_t row, int64_t size) {
  if (from == to) {
    return;
  }
  const int64_t stride = static_cast<int64_t>(gridDim.y) * kThreads;
  for (int64_t i = blockIdx.y * kThreads + threadIdx.x; i < size; i += stride) {
    to[row * size + i] = from[row * size + i];
  }
}

// Blocks (row, part of the row).
template <typename Element>
__global__ void __launch_bounds__(kThreads) PassThroughKernel(Call call) {
  const Mamba2Shape& shape = call.shape;
  const Mamba2Tensors& tensors = call.tensors;
  const int64_t row = blockIdx.x;
  bool owned = false;
  for (int64_t s = threadIdx.x; s < shape.num_sequences; s += kThreads) {
    owned |= SequenceAt(call, s).state_row == row;
  }
  if (__syncthreads_or(owned)) {
    return;
  }
  CopyRow(static_cast<const Element*>(tensors.past_conv_state),
          static_cast<Element*>(tensors.present_conv_state), row,
          shape.conv_channels() * (shape.conv_width - 1));
  CopyRow(tensors.past_recurrent_state, tensors.present_recurrent_state, row,
          shape.inner() * shape.state_size);
}

}  // namespace

cudaError_t PassThrough(const Call& call, cudaStream_t stream) {
  const Mamba2Tensors& tensors = call.tensors;
  const bool in_place = tensors.past_conv_state == tensors.present_conv_state &&
                        tensors.past_recurrent_state == tensors.present_recurrent_state;
  if (tensors.cu_seqlens == nullptr || in_place || call.shape.state_rows == 0) {
    return cudaSuccess;
  }
  Launch launch;
  launch.grid = dim3(static_cast<unsigned>(call.shape.state_rows), 16);
  launch.threads = kThreads;
  launch.stream = stream;
  const bool wide = call.shape.data_type == DataType::kFloat32;
  return Start(launch, wide ? PassThroughKernel<uint32_t> : PassThroughKernel<uint16_t>, call);
}

}  // namespace bamba::cuda
