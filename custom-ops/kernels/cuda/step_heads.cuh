// A decode step of heads of 64 with a state of 128 and four taps, Bamba's: the states and r.
//
// For the norm it leaves sums of r² over parts of a head. So the norm's blocks need not read a
// whole row, and many of them share one.

#ifndef BAMBA_KERNELS_CUDA_STEP_HEADS_CUH_
#define BAMBA_KERNELS_CUDA_STEP_HEADS_CUH_

#include "launch.cuh"
#include "numeric.cuh"
#include "sequences.cuh"

namespace bamba::cuda::step {

constexpr int kHeadDim = 64;
constexpr int kStateSize = 128;
constexpr int kConvWidth = 4;
constexpr int kLanes = 8;          // that share a row of the state
constexpr int kPasses = 2;         // rows of a lane group
constexpr int kPieces = 4;         // of four floats, that a lane has of a row
constexpr int kSquaresOfHead = 8;  // sums of r² of a head
constexpr int kHeadThreads = kHeadDim / kPasses * kLanes;
// Blocks of a multiprocessor: four are faster than three, at every number of rows.
constexpr int kHeadResident = 4;

// What is left for the norm.
struct Scratch {
  float* gated;    // r, [B, E]
  float* squares;  // [B, H, kSquaresOfHead]
};

// One channel's inputs, loaded together and before anything is stored.
template <typename T>
struct Channel {
  T inputs[kConvWidth];
  float4 taps;
  float bias;

  __device__ void Load(const Call& call, int64_t row, int64_t channel) {
    const Mamba2Shape& shape = call.shape;
    const T* past = static_cast<const T*>(call.tensors.past_conv_state) +
                    (row * shape.conv_channels() + channel) * (kConvWidth - 1);
#pragma unroll
    for (int k = 0; k < kConvWidth - 1; ++k) {
      inputs[k] = past[k];
    }
    inputs[kConvWidth - 1] = static_cast<const T*>(
        call.tensors.zxbcdt)[row * shape.projected() + shape.inner() + channel];
    taps = *reinterpret_cast<const float4*>(call.tensors.conv_weight + channel * kConvWidth);
    bias = call.tensors.conv_bias[channel];
  }

  // After convolution and SiLU, rounded to T.
  __device__ float Value() const {
    return RoundTo<T>(Silu(bias + taps.x * ToFloat(inputs[0]) + taps.y * ToFloat(inputs[1]) +
                           taps.z * ToFloat(inputs[2]) + taps.w * ToFloat(inputs[3])));
  }

  // Its conv state, moved on where the row has a token.
  __device__ void Store(const Call& call, int64_t row, int64_t channel, bool real) const {
    T* present = static_cast<T*>(call.tensors.present_conv_state) +
                 (row * call.shape.conv_channels() + channel) * (kConvWidth - 1);
#pragma unroll
    for (int k = 0; k < kConvWidth - 1; ++k) {
      const T kept = inputs[k];
      const T next = inputs[k + 1];
      present[k] = real ? next : kept;
    }
  }
};

// What all channels of a head share, and z of the thread's rows.
template <typename T>
struct HeadInputs {
  T dt;
  float dt_bias;
  float a_log;
  float d;
  T z[kPasses];
  int length;

  // `first_channel` is that of the thread's first row, `stride` leads to its next.
  __device__ void Load(const Call& call, int64_t row, int64_t head, int64_t first_channel,
                       int stride) {
    const Mamba2Shape& shape = call.shape;
    const T* token = static_cast<const T*>(call.tensors.zxbcdt) + row * shape.projected();
    dt = token[shape.inner() + shape.conv_channels() + head];
    dt_bias = call.tensors.dt_bias[head];
    a_log = call.tensors.a_log[head];
    d = call.tensors.d[head];
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      z[pass] = token[first_channel + pass * stride];
    }
    length = call.tensors.seq_lens[row];
  }
};

// Channel of the i-th of a group's B and C.
__device__ inline int64_t ChannelOfBC(const Mamba2Shape& shape, int64_t group, int i) {
  const int64_t first = i < kStateSize ? group : shape.n_groups + group - 1;
  return shape.inner() + first * kStateSize + i;
}

// Adds a token to a piece of the state's row; the sum gains its part of S C.
__device__ inline void Advance(float4& state, float decay, float x, const float4& b,
                               const float4& c, float& sum) {
  state.x = state.x * decay + x * b.x;
  state.y = state.y * decay + x * b.y;
  state.z = state.z * decay + x * b.z;
  state.w = state.w * decay + x * b.w;
  sum += state.x * c.x + state.y * c.y + state.z * c.z + state.w * c.w;
}

// From the lanes' parts of S C to r: stores it and returns its square in one lane of each row.
__device__ inline float StoreGated(float sum, float skipped, float z, float* gated) {
#pragma unroll
  for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) {
    sum += __shfl_xor_sync(~0u, sum, lanes);
  }
  const float r = (sum + skipped) * Silu(z);
  if (threadIdx.x % kLanes != 0) {
    return 0;
  }
  *gated = r;
  return r * r;
}

// The warp's sum of squares, whose parts lie in the first lanes of rows.
__device__ inline void StoreSquares(float square, float* squares) {
  square += __shfl_xor_sync(~0u, square, kLanes);
  square += __shfl_xor_sync(~0u, square, 2 * kLanes);
  if (threadIdx.x % 32 == 0) {
    squares[threadIdx.x / 32] = square;
  }
}

// Brings memory nearer that this kernel reads once the kernel before it is done. Whatever that one
// still writes there stays right: L2 is where all of a device's writes meet.
__device__ inline void PrefetchBulk(const void* source, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(source), "r"(bytes) : "memory");
#endif
}

__device__ inline void PrefetchLine(const void* source) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(source));
}

// Blocks (head, row). All loads are under way before the first is waited for. Where all blocks
// start at once, they bring their states nearer while the kernel before still runs; else those that
// come first would only be in each other's way.
template <typename T>
__global__ void __launch_bounds__(kHeadThreads, kHeadResident)
    HeadKernel(Call call, Scratch scratch, bool prefetches) {
  constexpr int kRows = kHeadThreads / kLanes;
  constexpr int kPiecesOfRow = kStateSize / 4;
  __shared__ float4 shared_bc[2 * kPiecesOfRow];
  __shared__ float shared_x[kHeadDim];
  const Mamba2Shape& shape = call.shape;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kLanes;
  const int64_t row = blockIdx.y;
  const int64_t head = blockIdx.x;
  const int64_t first_channel = head * kHeadDim;
  const int64_t offset = (row * shape.inner() + first_channel) * kStateSize;
  const int64_t in_head = thread / kLanes * kPiecesOfRow + lane;
  const float* past_head = call.tensors.past_recurrent_state + offset;
  if (thread == 0 && prefetches) {
    PrefetchBulk(past_head, kHeadDim * kStateSize * sizeof(float));
  }
  if (thread < kHeadDim) {
    PrefetchLine(call.tensors.conv_weight + (first_channel + thread) * kConvWidth);
  }
  WaitForKernelBefore();
  LetKernelAfterStart();

  const float4* past = reinterpret_cast<const float4*>(past_head) + in_head;
  float4 held[kPasses][kPieces];
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      held[pass][i] = past[pass * kRows * kPiecesOfRow + i * kLanes];
    }
  }
  static_assert(kHeadThreads == 2 * kStateSize);  // a thread has one channel of B or C
  Channel<T> bc;
  bc.Load(call, row, ChannelOfBC(shape, head / shape.heads_per_group(), thread));
  Channel<T> own;
  if (thread < kHeadDim) {
    own.Load(call, row, first_channel + thread);
  }
  HeadInputs<T> inputs;
  inputs.Load(call, row, head, first_channel + thread / kLanes, kRows);
  const bool real = inputs.length > 0;

  reinterpret_cast<float*>(shared_bc)[thread] = bc.Value();
  if (thread < kHeadDim) {
    shared_x[thread] = own.Value();
    own.Store(call, row, first_channel + thread, real);
  }
  const float dt = TimeStep(ToFloat(inputs.dt), inputs.dt_bias, shape.dt_min, shape.dt_max);
  const float decay = expf(-expf(inputs.a_log) * dt);
  __syncthreads();

  float4* present =
      reinterpret_cast<float4*>(call.tensors.present_recurrent_state + offset) + in_head;
  float square = 0;
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    const int local = thread / kLanes + pass * kRows;
    const float x = shared_x[local];
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int column = lane + i * kLanes;
      if (real) {
        Advance(held[pass][i], decay, dt * x, shared_bc[column], shared_bc[kPiecesOfRow + column],
                sum);
      }
      // What is stored is not read again in this step, and need not displace what is.
      __stcs(present + pass * kRows * kPiecesOfRow + i * kLanes, held[pass][i]);
    }
    square += StoreGated(sum, inputs.d * x, ToFloat(inputs.z[pass]),
                         scratch.gated + row * shape.inner() + first_channel + local);
  }
  StoreSquares(square, scratch.squares + (row * shape.num_heads + head) * kSquaresOfHead);
}

}  // namespace bamba::cuda::step

#endif  // BAMBA_KERNELS_CUDA_STEP_HEADS_CUH_
