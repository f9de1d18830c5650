// Which tokens and which row of the states belong to a sequence, read from lengths that live on the
// device.

#ifndef BAMBA_KERNELS_CUDA_SEQUENCES_CUH_
#define BAMBA_KERNELS_CUDA_SEQUENCES_CUH_

#include <cstdint>

#include "mamba2_chunk_scan.h"
#include "numeric.cuh"

namespace bamba::cuda {

// All that a kernel needs of a call, passed by value.
struct Call {
  Mamba2Shape shape;
  Mamba2Tensors tensors;
};

// One sequence: a row of the batch, or a piece of the packed row.
struct Sequence {
  int64_t first_token;  // within [B * L]
  int64_t length;
  int64_t state_row;
};

__device__ inline Sequence SequenceAt(const Call& call, int64_t s) {
  const Mamba2Tensors& t = call.tensors;
  if (t.cu_seqlens == nullptr) {
    return {s * call.shape.length, t.seq_lens[s], s};
  }
  const int64_t row = t.state_indices == nullptr ? s : t.state_indices[s];
  return {t.cu_seqlens[s], t.cu_seqlens[s + 1] - t.cu_seqlens[s], row};
}

// The last s below count for which start(s) <= value; start rises with s and start(0) <= value.
template <typename Start>
__device__ inline int64_t LastStartingBy(int64_t count, int64_t value, Start start) {
  int64_t low = 0;
  int64_t high = count;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    (start(middle) <= value ? low : high) = middle;
  }
  return low;
}

// The sequence that owns a token of [B * L], or -1 for a token that is not real.
__device__ inline int64_t OwnerOf(const Call& call, int64_t token) {
  const int32_t* bounds = call.tensors.cu_seqlens;
  if (bounds == nullptr) {
    const int64_t row = token / call.shape.length;
    return token - row * call.shape.length < call.tensors.seq_lens[row] ? row : -1;
  }
  const int64_t count = call.shape.num_sequences;
  if (count == 0 || token >= bounds[count]) {
    return -1;
  }
  return LastStartingBy(count, token, [=](int64_t s) { return bounds[s]; });
}

// The convolution's input u of a channel at a position of a sequence; positions below zero reach
// into the past.
template <typename T>
__device__ inline T ConvInput(const Call& call, const Sequence& sequence, int64_t channel,
                              int64_t position) {
  const Mamba2Shape& shape = call.shape;
  if (position >= 0) {
    const int64_t token = sequence.first_token + position;
    return static_cast<const T*>(
        call.tensors.zxbcdt)[token * shape.projected() + shape.inner() + channel];
  }
  const int64_t taps = shape.conv_width - 1;
  return static_cast<const T*>(
      call.tensors.past_conv_state)[(sequence.state_row * shape.conv_channels() + channel) * taps +
                                    taps + position];
}

// Writes a channel's present_conv_state. One thread does a whole channel and goes upward, so that
// the buffer may be that of the past: what it reads lies at or after what it writes.
template <typename T>
__device__ inline void WriteConvState(const Call& call, const Sequence& sequence, int64_t channel) {
  const Mamba2Shape& shape = call.shape;
  const int64_t taps = shape.conv_width - 1;
  T* state = static_cast<T*>(call.tensors.present_conv_state) +
             (sequence.state_row * shape.conv_channels() + channel) * taps;
  for (int64_t k = 0; k < taps; ++k) {
    state[k] = ConvInput<T>(call, sequence, channel, sequence.length - taps + k);
  }
}

// The convolution and SiLU of a channel at a position, in float32 and not yet rounded.
template <typename T>
__device__ inline float Convolve(const Call& call, const Sequence& sequence, int64_t channel,
                                 int64_t position) {
  const int64_t width = call.shape.conv_width;
  const float* weight = call.tensors.conv_weight + channel * width;
  float sum = call.tensors.conv_bias[channel];
  for (int64_t k = 0; k < width; ++k) {
    sum += weight[k] * ToFloat(ConvInput<T>(call, sequence, channel, position - width + 1 + k));
  }
  return Silu(sum);
}

}  // namespace bamba::cuda

#endif  // BAMBA_KERNELS_CUDA_SEQUENCES_CUH_
