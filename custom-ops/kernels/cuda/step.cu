// One token a row: the work of a decode step, bound by reading and writing the recurrent state
// once.
//
// Two kernels. In the first a block has one head of one row: the state's loads are under way while
// it convolves. The second has blocks for the norm, and blocks that shift the conv state of B and
// C, which all heads of a group read. Those here take any shape; Bamba's heads have their own,
// which this file chooses.

#include "gated_norm.cuh"
#include "launch.cuh"
#include "numeric.cuh"
#include "stages.cuh"
#include "step_heads.cuh"
#include "step_norm.cuh"

namespace bamba::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 8;  // that share a row of the state
constexpr int kRows = kThreads / kLanes;

// A block's convolved inputs.
struct Inputs {
  float* x;  // [P]
  float* b;  // [N]
  float* c;  // [N]

  __device__ Inputs(float* memory, const Mamba2Shape& shape)
      : x(memory), b(x + (shape.head_dim + 3) / 4 * 4), c(b + (shape.state_size + 3) / 4 * 4) {}

  static size_t Bytes(const Mamba2Shape& shape) {
    return (CeilDivide(shape.head_dim, 4) + 2 * CeilDivide(shape.state_size, 4)) * 4 *
           sizeof(float);
  }
};

// Taps that are loaded at once; a wider convolution goes tap by tap.
constexpr int kTaps = 4;

// A channel's convolution and SiLU for the row's token, rounded to T. With `shifts` its conv state
// moves on.
template <typename T>
__device__ float ConvolveChannel(const Call& call, const Sequence& sequence, int64_t channel,
                                 bool shifts) {
  const int width = static_cast<int>(call.shape.conv_width);
  if (width > kTaps) {
    const float value = RoundTo<T>(Convolve<T>(call, sequence, channel, 0));
    if (shifts) {
      WriteConvState<T>(call, sequence, channel);
    }
    return value;
  }
  const float* weight = call.tensors.conv_weight + channel * width;
  T inputs[kTaps] = {};
  float taps[kTaps] = {};
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    if (k < width) {
      inputs[k] = ConvInput<T>(call, sequence, channel, k + 1 - width);
      taps[k] = weight[k];
    }
  }
  float sum = call.tensors.conv_bias[channel];
  T* state = static_cast<T*>(call.tensors.present_conv_state) +
             (sequence.state_row * call.shape.conv_channels() + channel) * (width - 1);
#pragma unroll
  for (int k = 0; k < kTaps; ++k) {
    sum += taps[k] * ToFloat(inputs[k]);
    if (shifts && k > 0 && k < width) {
      state[k - 1] = inputs[k];
    }
  }
  return RoundTo<T>(Silu(sum));
}

// x, B and C of the token; x's conv state moves on, that of B and C stays for other heads. Of a row
// without a token it reads what stands there: so nothing waits for the row's length.
template <typename T>
__device__ void ConvolveToken(const Call& call, const Sequence& sequence, int64_t head,
                              const Inputs& inputs) {
  const Mamba2Shape& shape = call.shape;
  const int p = static_cast<int>(shape.head_dim);
  const int n = static_cast<int>(shape.state_size);
  const int64_t group = head / shape.heads_per_group();
  for (int i = threadIdx.x; i < p + 2 * n; i += kThreads) {
    int64_t channel = head * p + i;
    float* target = inputs.x + i;
    if (i >= p + n) {
      channel = shape.inner() + (shape.n_groups + group) * n + (i - p - n);
      target = inputs.c + (i - p - n);
    } else if (i >= p) {
      channel = shape.inner() + group * n + (i - p);
      target = inputs.b + (i - p);
    }
    *target = ConvolveChannel<T>(call, sequence, channel, i < p && sequence.length > 0);
  }
}

// A row without a token: the head's states pass from past to present.
template <typename T>
__device__ void KeepStates(const Call& call, const Sequence& sequence, int64_t head) {
  const Mamba2Shape& shape = call.shape;
  for (int64_t i = threadIdx.x; i < shape.head_dim; i += kThreads) {
    WriteConvState<T>(call, sequence, head * shape.head_dim + i);
  }
  const int64_t size = shape.head_dim * shape.state_size;
  const int64_t offset = (sequence.state_row * shape.num_heads + head) * size;
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    call.tensors.present_recurrent_state[offset + i] =
        call.tensors.past_recurrent_state[offset + i];
  }
}

// Adds a token to a piece of the state's row and returns the piece's part of S C.
template <int kVector>
__device__ float Advance(float* piece, float decay, float x, const float* b, const float* c) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    piece[i] = piece[i] * decay + x * b[i];
    sum += piece[i] * c[i];
  }
  return sum;
}

// Neighbours in the state.
template <int kVector>
struct alignas(4 * kVector) Piece {
  float elements[kVector];

  // What is stored is not read again in this step, and need not displace what is.
  __device__ void Store(float* target) const {
    if constexpr (kVector == 4) {
      __stcs(reinterpret_cast<float4*>(target),
             make_float4(elements[0], elements[1], elements[2], elements[3]));
    } else {
      __stcs(target, elements[0]);
    }
  }
};

// Blocks (head, row). kVector floats are loaded at once.
template <typename T, int kVector>
__global__ void __launch_bounds__(kThreads, 3) StepKernel(Call call, float* gated) {
  extern __shared__ float4 memory[];
  const Mamba2Shape& shape = call.shape;
  const Inputs inputs(reinterpret_cast<float*>(memory), shape);
  const int64_t head = blockIdx.x;
  const Sequence sequence = SequenceAt(call, blockIdx.y);
  const int p = static_cast<int>(shape.head_dim);
  const int n = static_cast<int>(shape.state_size);
  const int64_t offset = (sequence.state_row * shape.num_heads + head) * p * n;
  const float* past = call.tensors.past_recurrent_state + offset;
  float* present = call.tensors.present_recurrent_state + offset;
  const int first_row = threadIdx.x / kLanes;
  const int first_column = threadIdx.x % kLanes * kVector;
  LetKernelAfterStart();
  ConvolveToken<T>(call, sequence, head, inputs);
  const T* token =
      static_cast<const T*>(call.tensors.zxbcdt) + sequence.first_token * shape.projected();
  const float dt = TimeStep(ToFloat(token[shape.inner() + shape.conv_channels() + head]),
                            call.tensors.dt_bias[head], shape.dt_min, shape.dt_max);
  const float decay = expf(-expf(call.tensors.a_log[head]) * dt);
  const float d = call.tensors.d[head];
  if (sequence.length == 0) {
    KeepStates<T>(call, sequence, head);
    return;
  }
  __syncthreads();

  for (int pass = 0; pass * kRows < p; ++pass) {
    const int row = first_row + pass * kRows;
    const float x = row < p ? inputs.x[row] : 0;
    float sum = 0;
    if (row < p) {
      for (int column = first_column; column < n; column += kLanes * kVector) {
        auto piece = *reinterpret_cast<const Piece<kVector>*>(past + row * n + column);
        sum +=
            Advance<kVector>(piece.elements, decay, dt * x, inputs.b + column, inputs.c + column);
        piece.Store(present + row * n + column);
      }
    }
    for (int lanes = kLanes / 2; lanes > 0; lanes /= 2) {
      sum += __shfl_xor_sync(~0u, sum, lanes);
    }
    if (row < p && threadIdx.x % kLanes == 0) {
      const int64_t channel = head * p + row;
      gated[blockIdx.y * shape.inner() + channel] = (sum + d * x) * Silu(ToFloat(token[channel]));
    }
  }
}

// Blocks (norm groups, then conv states; row): y, and the conv state of B and C once every head has
// read it.
template <typename T, bool kHeld>
__global__ void __launch_bounds__(kNormThreads) FinishKernel(Call call, const float* gated) {
  const Mamba2Shape& shape = call.shape;
  const Sequence sequence = SequenceAt(call, blockIdx.y);
  const int64_t groups = shape.inner() / shape.norm_group_size;
  WaitForKernelBefore();
  if (blockIdx.x < groups) {
    NormGroup<T, kHeld>(call, gated, blockIdx.y, blockIdx.x, sequence.length > 0);
    return;
  }
  const int64_t channel = shape.inner() + (blockIdx.x - groups) * kNormThreads + threadIdx.x;
  if (channel < shape.conv_channels()) {
    WriteConvState<T>(call, sequence, channel);
  }
}

template <typename T>
cudaError_t AnyStep(const Call& call, float* gated, const Device& device, cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  Launch heads;
  heads.grid = dim3(static_cast<unsigned>(shape.num_heads), static_cast<unsigned>(shape.batch));
  heads.threads = kThreads;
  heads.shared_bytes = Inputs::Bytes(shape);
  heads.stream = stream;
  if (cudaError_t error = Start(
          heads, shape.state_size % 4 == 0 ? StepKernel<T, 4> : StepKernel<T, 1>, call, gated);
      error != cudaSuccess) {
    return error;
  }
  const int64_t groups = shape.inner() / shape.norm_group_size;
  const int64_t shifted = shape.conv_channels() - shape.inner();
  Launch finish;
  finish.grid = dim3(static_cast<unsigned>(groups + CeilDivide(shifted, kNormThreads)),
                     static_cast<unsigned>(shape.batch));
  finish.threads = kNormThreads;
  finish.stream = stream;
  finish.overlaps = device.compute_capability >= 90;
  return Start(finish, NormIsHeld(shape) ? FinishKernel<T, true> : FinishKernel<T, false>, call,
               gated);
}

bool HasBambaHeads(const Mamba2Shape& shape) {
  return shape.head_dim == step::kHeadDim && shape.state_size == step::kStateSize &&
         shape.conv_width == step::kConvWidth && shape.norm_group_size % step::kHeadDim == 0;
}

template <typename T>
cudaError_t BambaStep(const Call& call, float* gated, const Device& device, cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  const step::Scratch scratch = {gated, gated + shape.batch * shape.inner()};
  // The head's blocks may start early too: until the kernel before is done they only prefetch.
  Launch heads;
  heads.grid = dim3(static_cast<unsigned>(shape.num_heads), static_cast<unsigned>(shape.batch));
  heads.threads = step::kHeadThreads;
  heads.stream = stream;
  heads.overlaps = device.compute_capability >= 90;
  const bool prefetches =
      shape.batch * shape.num_heads <= step::kHeadResident * device.multiprocessors;
  if (cudaError_t error = Start(heads, step::HeadKernel<T>, call, scratch, prefetches);
      error != cudaSuccess) {
    return error;
  }
  const int64_t norm_blocks = step::NormBlocks(shape);
  Launch norm;
  norm.grid = dim3(static_cast<unsigned>(norm_blocks + step::ShiftBlocks(shape)),
                   static_cast<unsigned>(shape.batch));
  norm.threads = kNormThreads;
  norm.stream = stream;
  norm.overlaps = heads.overlaps;
  return Start(norm, step::NormKernel<T>, call, scratch, static_cast<int>(norm_blocks));
}

}  // namespace

size_t StepBytes(const Mamba2Shape& shape) {
  return HasBambaHeads(shape) ? static_cast<size_t>(shape.batch * shape.num_heads) *
                                    step::kSquaresOfHead * sizeof(float)
                              : 0;
}

template <typename T>
cudaError_t Step(const Call& call, float* gated, const Device& device, cudaStream_t stream) {
  if (call.shape.batch == 0) {
    return cudaSuccess;
  }
  return HasBambaHeads(call.shape) ? BambaStep<T>(call, gated, device, stream)
                                   : AnyStep<T>(call, gated, device, stream);
}

template cudaError_t Step<float>(const Call&, float*, const Device&, cudaStream_t);
template cudaError_t Step<__half>(const Call&, float*, const Device&, cudaStream_t);
template cudaError_t Step<__nv_bfloat16>(const Call&, float*, const Device&, cudaStream_t);

}  // namespace bamba::cuda
