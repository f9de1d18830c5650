// The chunked scan for any shape and type, on the ordinary float32 units: what float32 data takes,
// which may not be rounded to TF32, and 16-bit data of shapes that no faster kernel is written for.
//
// Two kernels. The first convolves: x, B and C of every token after SiLU, and dt. The second gives
// a block some rows (channels) of a head's state, which it keeps in shared memory while it walks
// over the chunks of a sequence.

#include "launch.cuh"
#include "numeric.cuh"
#include "stages.cuh"

namespace bamba::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostTokens = 32;  // of a chunk: its sums are taken by one warp
constexpr int kMostRows = 32;

constexpr size_t kScratchAlignment = 256;

int64_t Aligned(int64_t bytes) {
  return CeilDivide(bytes, kScratchAlignment) * static_cast<int64_t>(kScratchAlignment);
}

int64_t ConvolvedBytes(const Mamba2Shape& shape) {
  const int64_t size = shape.data_type == DataType::kFloat32 ? 4 : 2;
  return Aligned(shape.batch * shape.length * shape.conv_channels() * size);
}

// Blocks (token, channels); channels of the convolution first, then heads.
template <typename T>
__global__ void __launch_bounds__(kThreads) ConvolveKernel(Call call, T* convolved, float* dt) {
  const Mamba2Shape& shape = call.shape;
  const int64_t token = blockIdx.x;
  const int64_t s = OwnerOf(call, token);
  if (s < 0) {
    return;
  }
  const Sequence sequence = SequenceAt(call, s);
  const int64_t channel = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x;
  if (channel < shape.conv_channels()) {
    convolved[token * shape.conv_channels() + channel] =
        FromFloat<T>(Convolve<T>(call, sequence, channel, token - sequence.first_token));
    return;
  }
  const int64_t head = channel - shape.conv_channels();
  if (head < shape.num_heads) {
    const T* row = static_cast<const T*>(call.tensors.zxbcdt) + token * shape.projected();
    dt[token * shape.num_heads + head] =
        TimeStep(ToFloat(row[shape.inner() + channel]), call.tensors.dt_bias[head], shape.dt_min,
                 shape.dt_max);
  }
}

// How a block cuts its work.
struct Tiles {
  int tokens;  // of a chunk, even
  int rows;    // of the state, even
  int stride;  // floats of a row of B, C and the state: N, rounded up to 16 bytes and moved on by
               // one bank group

  size_t SharedBytes() const {
    const size_t floats =
        (rows + 2 * tokens) * stride + 2 * tokens * rows + tokens * (tokens + 1) + 3 * tokens;
    return floats * sizeof(float);
  }
};

// Fewer rows and tokens where the state is too wide for a block's shared memory.
Tiles ChooseTiles(const Mamba2Shape& shape, const Device& device) {
  Tiles tiles = {kMostTokens, kMostRows, static_cast<int>(CeilDivide(shape.state_size, 4) * 4 + 4)};
  while (tiles.SharedBytes() > static_cast<size_t>(device.shared_bytes_per_block) &&
         tiles.tokens > 2) {
    tiles.tokens /= 2;
    tiles.rows /= 2;
  }
  return tiles;
}

// A block's shared memory.
struct Shared {
  float* state;     // [rows][stride]
  float* b;         // [tokens][stride]
  float* c;         // [tokens][stride]
  float* x;         // [tokens][rows]
  float* weighted;  // [tokens][rows], exp(cs_last - cs) dt x
  float* inside;  // [tokens][tokens + 1], (C Bᵀ) exp(cs_l - cs_s) dt_s at and below the diagonal
  float* cs;      // [tokens]
  float* dt;      // [tokens]
  float* weight;  // [tokens], exp(cs_last - cs) dt

  __device__ Shared(float* memory, const Tiles& tiles)
      : state(memory),
        b(state + tiles.rows * tiles.stride),
        c(b + tiles.tokens * tiles.stride),
        x(c + tiles.tokens * tiles.stride),
        weighted(x + tiles.tokens * tiles.rows),
        inside(weighted + tiles.tokens * tiles.rows),
        cs(inside + tiles.tokens * (tiles.tokens + 1)),
        dt(cs + tiles.tokens),
        weight(dt + tiles.tokens) {}
};

// Where a block works.
struct Place {
  Sequence sequence;
  int64_t head;
  int64_t group;
  int64_t first_row;  // within the head
  int rows;           // real ones of the tile
};

__device__ float Dot(const float* a, const float* b, int size) {
  float4 sum = {};
  for (int i = 0; i < size; i += 4) {
    const float4 u = *reinterpret_cast<const float4*>(a + i);
    const float4 v = *reinterpret_cast<const float4*>(b + i);
    sum.x += u.x * v.x;
    sum.y += u.y * v.y;
    sum.z += u.z * v.z;
    sum.w += u.w * v.w;
  }
  return (sum.x + sum.y) + (sum.z + sum.w);
}

// x, B, C and dt of a chunk; zeros past its end, so that what follows needs no bounds.
template <typename T>
__device__ void LoadChunk(const Call& call, const Place& place, const Tiles& tiles,
                          const Shared& shared, const T* convolved, const float* dt,
                          int64_t start) {
  const Mamba2Shape& shape = call.shape;
  const int count =
      static_cast<int>(min(static_cast<int64_t>(tiles.tokens), place.sequence.length - start));
  const int64_t first = place.sequence.first_token + start;
  const int n = static_cast<int>(shape.state_size);
  for (int i = threadIdx.x; i < tiles.tokens * n; i += kThreads) {
    const int l = i / n;
    const int column = i - l * n;
    const T* token =
        convolved + (first + l) * shape.conv_channels() + shape.inner() + place.group * n + column;
    shared.b[l * tiles.stride + column] = l < count ? ToFloat(token[0]) : 0;
    shared.c[l * tiles.stride + column] = l < count ? ToFloat(token[shape.n_groups * n]) : 0;
  }
  for (int i = threadIdx.x; i < tiles.tokens * tiles.rows; i += kThreads) {
    const int l = i / tiles.rows;
    const int row = i - l * tiles.rows;
    const int64_t channel = place.head * shape.head_dim + place.first_row + row;
    shared.x[i] = l < count && row < place.rows
                      ? ToFloat(convolved[(first + l) * shape.conv_channels() + channel])
                      : 0;
  }
  if (static_cast<int>(threadIdx.x) < tiles.tokens) {
    const int l = threadIdx.x;
    shared.dt[l] = l < count ? dt[(first + l) * shape.num_heads + place.head] : 0;
  }
}

// cs, the sums of dt A within the chunk, and each token's weight in the state after it.
__device__ void SumDecays(const Tiles& tiles, const Shared& shared, float a) {
  if (threadIdx.x >= 32) {
    return;
  }
  const int l = threadIdx.x;
  const float dt = l < tiles.tokens ? shared.dt[l] : 0;
  float cs = dt * a;
  for (int offset = 1; offset < 32; offset *= 2) {
    const float before = __shfl_up_sync(~0u, cs, offset);
    cs += l >= offset ? before : 0;
  }
  const float last = __shfl_sync(~0u, cs, 31);
  if (l < tiles.tokens) {
    shared.cs[l] = cs;
    shared.weight[l] = expf(last - cs) * dt;
  }
}

// The products of tokens with tokens, and weighted x.
__device__ void ScoreTokens(const Tiles& tiles, const Shared& shared, int n) {
  for (int i = threadIdx.x; i < tiles.tokens * tiles.tokens; i += kThreads) {
    const int l = i / tiles.tokens;
    const int s = i - l * tiles.tokens;
    float value = 0;
    if (s <= l) {
      value = Dot(shared.c + l * tiles.stride, shared.b + s * tiles.stride, n) *
              expf(shared.cs[l] - shared.cs[s]) * shared.dt[s];
    }
    shared.inside[l * (tiles.tokens + 1) + s] = value;
  }
  for (int i = threadIdx.x; i < tiles.tokens * tiles.rows; i += kThreads) {
    shared.weighted[i] = shared.x[i] * shared.weight[i / tiles.rows];
  }
}

// r of a chunk.
template <typename T>
__device__ void WriteGated(const Call& call, const Place& place, const Tiles& tiles,
                           const Shared& shared, int64_t start, float* gated) {
  const Mamba2Shape& shape = call.shape;
  const float d = call.tensors.d[place.head];
  for (int i = threadIdx.x; i < tiles.tokens * tiles.rows; i += kThreads) {
    const int l = i / tiles.rows;
    const int row = i - l * tiles.rows;
    if (start + l >= place.sequence.length || row >= place.rows) {
      continue;
    }
    float v =
        expf(shared.cs[l]) * Dot(shared.c + l * tiles.stride, shared.state + row * tiles.stride,
                                 static_cast<int>(shape.state_size));
    for (int s = 0; s <= l; ++s) {
      v += shared.inside[l * (tiles.tokens + 1) + s] * shared.x[s * tiles.rows + row];
    }
    v += d * shared.x[i];
    const int64_t token = place.sequence.first_token + start + l;
    const int64_t channel = place.head * shape.head_dim + place.first_row + row;
    const float z =
        ToFloat(static_cast<const T*>(call.tensors.zxbcdt)[token * shape.projected() + channel]);
    gated[token * shape.inner() + channel] = v * Silu(z);
  }
}

__device__ void AdvanceState(const Tiles& tiles, const Shared& shared, int n) {
  const float decay = expf(shared.cs[tiles.tokens - 1]);
  const int columns = (n + 3) / 4;
  for (int i = threadIdx.x; i < tiles.rows * columns; i += kThreads) {
    const int row = i / columns;
    const int column = (i - row * columns) * 4;
    float4* state = reinterpret_cast<float4*>(shared.state + row * tiles.stride + column);
    float4 sum = *state;
    sum = make_float4(sum.x * decay, sum.y * decay, sum.z * decay, sum.w * decay);
    for (int s = 0; s < tiles.tokens; ++s) {
      const float x = shared.weighted[s * tiles.rows + row];
      const float4 b = *reinterpret_cast<const float4*>(shared.b + s * tiles.stride + column);
      sum = make_float4(sum.x + x * b.x, sum.y + x * b.y, sum.z + x * b.z, sum.w + x * b.w);
    }
    *state = sum;
  }
}

// The conv state of the block's rows, and by the first block of a group that of its B and C. The
// kernel before has read all it needs of the past.
template <typename T>
__device__ void WriteConvStates(const Call& call, const Place& place) {
  const Mamba2Shape& shape = call.shape;
  for (int i = threadIdx.x; i < place.rows; i += kThreads) {
    WriteConvState<T>(call, place.sequence, place.head * shape.head_dim + place.first_row + i);
  }
  if (place.first_row != 0 || place.head % shape.heads_per_group() != 0) {
    return;
  }
  for (int64_t i = threadIdx.x; i < 2 * shape.state_size; i += kThreads) {
    const int64_t kind = i / shape.state_size;
    const int64_t column = i - kind * shape.state_size;
    WriteConvState<T>(
        call, place.sequence,
        shape.inner() + (kind * shape.n_groups + place.group) * shape.state_size + column);
  }
}

// Blocks (rows of a head, sequence).
template <typename T>
__global__ void __launch_bounds__(kThreads)
    ScanKernel(Call call, Tiles tiles, const T* convolved, const float* dt, float* gated) {
  extern __shared__ float4 memory[];
  const Mamba2Shape& shape = call.shape;
  const Shared shared(reinterpret_cast<float*>(memory), tiles);
  const int64_t parts = (shape.head_dim + tiles.rows - 1) / tiles.rows;
  Place place;
  place.sequence = SequenceAt(call, blockIdx.y);
  place.head = blockIdx.x / parts;
  place.group = place.head / shape.heads_per_group();
  place.first_row = (blockIdx.x - place.head * parts) * tiles.rows;
  place.rows =
      static_cast<int>(min(static_cast<int64_t>(tiles.rows), shape.head_dim - place.first_row));
  const int n = static_cast<int>(shape.state_size);
  const int64_t state =
      ((place.sequence.state_row * shape.num_heads + place.head) * shape.head_dim +
       place.first_row) *
      n;

  for (int i = threadIdx.x; i < (tiles.rows + 2 * tiles.tokens) * tiles.stride; i += kThreads) {
    shared.state[i] = 0;
  }
  __syncthreads();
  for (int i = threadIdx.x; i < place.rows * n; i += kThreads) {
    shared.state[i / n * tiles.stride + i % n] = call.tensors.past_recurrent_state[state + i];
  }
  const float a = -expf(call.tensors.a_log[place.head]);
  for (int64_t start = 0; start < place.sequence.length; start += tiles.tokens) {
    LoadChunk(call, place, tiles, shared, convolved, dt, start);
    __syncthreads();
    SumDecays(tiles, shared, a);
    __syncthreads();
    ScoreTokens(tiles, shared, n);
    __syncthreads();
    WriteGated<T>(call, place, tiles, shared, start, gated);
    __syncthreads();
    AdvanceState(tiles, shared, n);
    __syncthreads();
  }
  for (int i = threadIdx.x; i < place.rows * n; i += kThreads) {
    call.tensors.present_recurrent_state[state + i] = shared.state[i / n * tiles.stride + i % n];
  }
  WriteConvStates<T>(call, place);
}

}  // namespace

size_t PortableScanBytes(const Mamba2Shape& shape) {
  return ConvolvedBytes(shape) + Aligned(shape.batch * shape.length * shape.num_heads *
                                         static_cast<int64_t>(sizeof(float)));
}

template <typename T>
cudaError_t PortableScan(const Call& call, void* scratch, float* gated, const Device& device,
                         cudaStream_t stream) {
  const Mamba2Shape& shape = call.shape;
  T* convolved = static_cast<T*>(scratch);
  float* dt = reinterpret_cast<float*>(static_cast<char*>(scratch) + ConvolvedBytes(shape));
  Launch launch;
  launch.threads = kThreads;
  launch.stream = stream;
  if (const int64_t tokens = shape.batch * shape.length; tokens > 0) {
    launch.grid =
        dim3(static_cast<unsigned>(tokens),
             static_cast<unsigned>(CeilDivide(shape.conv_channels() + shape.num_heads, kThreads)));
    if (cudaError_t error = Start(launch, ConvolveKernel<T>, call, convolved, dt);
        error != cudaSuccess) {
      return error;
    }
  }
  if (shape.num_sequences == 0) {
    return cudaSuccess;
  }
  const Tiles tiles = ChooseTiles(shape, device);
  launch.shared_bytes = tiles.SharedBytes();
  launch.grid =
      dim3(static_cast<unsigned>(shape.num_heads * CeilDivide(shape.head_dim, tiles.rows)),
           static_cast<unsigned>(shape.num_sequences));
  return Start(launch, ScanKernel<T>, call, tiles, convolved, dt, gated);
}

template cudaError_t PortableScan<float>(const Call&, void*, float*, const Device&, cudaStream_t);
template cudaError_t PortableScan<__half>(const Call&, void*, float*, const Device&, cudaStream_t);
template cudaError_t PortableScan<__nv_bfloat16>(const Call&, void*, float*, const Device&,
                                                 cudaStream_t);

}  // namespace bamba::cuda
