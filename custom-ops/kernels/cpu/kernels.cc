// Compiled once for every instruction set, which BAMBA_ISA names.

#include "cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "cpu/convolution.h"
#include "cpu/head_scan.h"
#include "cpu/products.h"
#include "cpu/vector.h"
#include "numeric.h"

namespace bamba::cpu::BAMBA_ISA {
namespace {

constexpr int kLanes = Vec::kLanes;

// dt of neighbouring heads of a token.
template <typename T>
Vec TimeSteps(const Work& work, const T* token, int64_t head) {
  const Mamba2Shape& shape = work.shape;
  const int64_t rest = shape.num_heads - head;
  const Vec raw = LoadFloats(token + shape.inner() + shape.conv_channels() + head, rest);
  const Vec steps = Softplus(raw + LoadFloats(work.tensors.dt_bias + head, rest));
  return Min(Vec::All(shape.dt_max), Max(Vec::All(shape.dt_min), steps));
}

template <typename T>
void PrepareTimeSteps(const Work& work, const Span& chunk) {
  const int64_t heads = work.shape.num_heads;
  float* dt = work.dt + chunk.index * heads * kChunk;
  std::fill_n(dt, heads * kChunk, 0.0f);
  for (int64_t l = 0; l < chunk.count; ++l) {
    const T* token = TokenOf<T>(work, chunk.sequence.first_token + chunk.start + l);
    for (int64_t h = 0; h < heads; h += kLanes) {
      float steps[kLanes];
      TimeSteps(work, token, h).Store(steps);
      for (int64_t i = 0; i < std::min<int64_t>(kLanes, heads - h); ++i) {
        dt[(h + i) * kChunk + l] = steps[i];
      }
    }
  }
}

// C Bᵀ of a chunk's tokens, turned: that of s and l at [s, l], zero where l < s.
void Score(const float* b, const float* c, int64_t states, float* scores) {
  std::fill_n(scores, kChunk * kChunk, 0.0f);
  for (int64_t s = 0; s < kChunk; ++s) {
    for (int64_t l = s; l < kChunk; ++l) {
      Vec sum = Vec::All(0);
      for (int64_t n = 0; n < states; n += kLanes) {
        sum = Fma(Vec::Load(b + s * states + n), Vec::Load(c + l * states + n), sum);
      }
      scores[s * kChunk + l] = sum.Sum();
    }
  }
}

// Lays the left operand of tiles out.
template <typename Element>
void LayOutLeft(int64_t rows, int64_t steps, Element element, float* to) {
  for (int64_t first = 0; first < rows; first += kTileRows) {
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t m = 0; m < kTileRows; ++m) *to++ = element(first + m, step);
    }
  }
}

template <typename T>
void Prepare(const Work& work, const Span& chunk) {
  const Mamba2Shape& shape = work.shape;
  // B, C and dt of a token lie side by side, each token's on other pages.
  for (int64_t l = 0; l < chunk.count; ++l) {
    const T* token = TokenOf<T>(work, chunk.sequence.first_token + chunk.start + l);
    for (int64_t i = 2 * shape.inner(); i < shape.projected(); i += kLine) Prefetch(token + i);
  }
  PrepareTimeSteps<T>(work, chunk);
  const int64_t states = Padded(shape.state_size);
  const Floats b_rows(kChunk * states);
  const Floats c_rows(kChunk * states);
  const auto convolve = [&](int64_t first_channel, float* rows) {
    std::fill_n(rows, kChunk * states, 0.0f);
    Convolution<T>(work, chunk.sequence, shape.inner() + first_channel, shape.state_size)
        .Run(chunk.start, chunk.count, [=](int64_t v) {
          return [=](int64_t l, Vec x) { x.Store(rows + l * states + v * kLanes); };
        });
  };
  for (int64_t g = 0; g < shape.n_groups; ++g) {
    const float* b = b_rows.data();
    const float* c = c_rows.data();
    convolve(g * shape.state_size, b_rows.data());
    convolve((shape.n_groups + g) * shape.state_size, c_rows.data());
    const int64_t offset = ChunkOffset(shape, chunk.index, g, kChunk * states);
    LayOutLeft(
        states, kChunk, [=](int64_t n, int64_t l) { return b[l * states + n]; }, work.b + offset);
    LayOutLeft(
        kChunk, states, [=](int64_t l, int64_t n) { return c[l * states + n]; }, work.c + offset);
    Score(b, c, states, work.scores + ChunkOffset(shape, chunk.index, g, kChunk * kChunk));
  }
}

template <typename T>
void Scan(const Work& work, const Sequence& sequence, int64_t first_chunk, int64_t first_head,
          int64_t heads) {
  ScanScratch scratch(work.shape);
  std::optional<HeadScan<T>> scans[kHeadsTogether];
  for (int64_t i = 0; i < heads; ++i) {
    scans[i].emplace(work, sequence, first_head + i, scratch);
    scans[i]->Ask();
  }
  for (int64_t i = 0; i < heads; ++i) scans[i]->LoadState();
  for (int64_t start = 0; start < sequence.length; start += kChunk, ++first_chunk) {
    const int64_t count = std::min(kChunk, sequence.length - start);
    for (int64_t i = 0; i < heads; ++i) {
      scans[i]->Advance({sequence, start, count, first_chunk});
    }
  }
  for (int64_t i = 0; i < heads; ++i) scans[i]->StoreState();
  const int64_t channels = work.shape.head_dim;
  ShiftChannels<T>(work, sequence, first_head * channels, heads * channels);
}

template <typename T>
void Shift(const Work& work, const Sequence& sequence) {
  const Mamba2Shape& shape = work.shape;
  ShiftChannels<T>(work, sequence, shape.inner(), shape.conv_channels() - shape.inner());
}

template <typename T>
void Normalize(const Work& work, int64_t token) {
  const int64_t inner = work.shape.inner();
  const int64_t size = work.shape.norm_group_size;
  for (int64_t first = 0; first < inner; first += size) {
    const float* r = work.gated + token * inner + first;
    // Several sums, since one waits for its last addition.
    Vec squares[4] = {Vec::All(0), Vec::All(0), Vec::All(0), Vec::All(0)};
    for (int64_t i = 0; i < size; i += 4 * kLanes) {
      for (int j = 0; j < 4 && i + j * kLanes < size; ++j) {
        const Vec v = LoadFloats(r + i + j * kLanes, size - i - j * kLanes);
        squares[j] = Fma(v, v, squares[j]);
      }
    }
    const Vec sum = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    const float mean = sum.Sum() / static_cast<float>(size);
    const Vec scale = Vec::All(1.0f / std::sqrt(mean + work.shape.epsilon));
    T* y = static_cast<T*>(work.tensors.y) + token * inner + first;
    const float* weight = work.tensors.norm_weight + first;
    for (int64_t i = 0; i < size; i += kLanes) {
      const Vec v = LoadFloats(r + i, size - i) * scale * LoadFloats(weight + i, size - i);
      StoreFloats(v, y + i, size - i);
    }
  }
}

// SiLU of the sums of taps, as x, B and C are kept.
template <typename T>
void FinishConvolved(float* sums, int64_t channels) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const Vec v = RoundTo<T>(Silu(LoadFloats(sums + c, channels - c)));
    StoreFloats(v, sums + c, channels - c);
  }
}

template <typename T>
void ConvolveStep(const Work& work, const Sequence& sequence) {
  const Mamba2Shape& shape = work.shape;
  const int64_t width = shape.conv_width;
  const int64_t channels = shape.conv_channels();
  const T* token = TokenOf<T>(work, sequence.first_token);
  float* sums = work.convolved + sequence.first_token * channels;
  for (int64_t c = 0; c < channels; ++c) {
    const T* past = PastConv<T>(work, sequence.state_row, c);
    const float* taps = work.tensors.conv_weight + c * width;
    float sum = work.tensors.conv_bias[c] + taps[width - 1] * ToFloat(token[shape.inner() + c]);
    for (int64_t k = 0; k < width - 1; ++k) sum += taps[k] * ToFloat(past[k]);
    sums[c] = sum;
  }
  FinishConvolved<T>(sums, channels);
  ShiftChannels<T>(work, sequence, 0, channels);
}

// v silu(z), in v's place.
template <typename T>
void GateHead(const T* z, float* v, int64_t size) {
  for (int64_t p = 0; p < size; p += kLanes) {
    const Vec r = LoadFloats(v + p, size - p) * Silu(LoadFloats(z + p, size - p));
    StoreFloats(r, v + p, size - p);
  }
}

template <typename T>
void ScanStep(const Work& work, const Sequence& sequence, int64_t head) {
  const Mamba2Shape& shape = work.shape;
  const int64_t n_count = shape.state_size;
  const T* token = TokenOf<T>(work, sequence.first_token);
  const float* convolved = work.convolved + sequence.first_token * shape.conv_channels();
  const float* x = convolved + head * shape.head_dim;
  const float* b = convolved + shape.inner() + head / shape.heads_per_group() * n_count;
  const float* c = b + shape.n_groups * n_count;
  float steps[kLanes];
  TimeSteps(work, token, head).Store(steps);
  const float dt = steps[0];
  const float decay = std::exp(-std::exp(work.tensors.a_log[head]) * dt);
  const int64_t offset = (sequence.state_row * shape.num_heads + head) * shape.head_dim * n_count;
  const float* past = work.tensors.past_recurrent_state + offset;
  float* present = work.tensors.present_recurrent_state + offset;
  float* v = work.gated + sequence.first_token * shape.inner() + head * shape.head_dim;
  for (int64_t p = 0; p < shape.head_dim; ++p, past += n_count, present += n_count) {
    const Vec added = Vec::All(dt * x[p]);
    Vec sum = Vec::All(0);
    int64_t n = 0;
    for (; n + kLanes <= n_count; n += kLanes) {
      const Vec state = Fma(added, Vec::Load(b + n), Vec::Load(past + n) * Vec::All(decay));
      state.Store(present + n);
      sum = Fma(state, Vec::Load(c + n), sum);
    }
    v[p] = sum.Sum() + work.tensors.d[head] * x[p];
    for (; n < n_count; ++n) {
      present[n] = past[n] * decay + dt * x[p] * b[n];
      v[p] += present[n] * c[n];
    }
  }
  GateHead(token + head * shape.head_dim, v, shape.head_dim);
}

template <typename T>
constexpr Kernels kKernels = {Prepare<T>,   Scan<T>,         Shift<T>,
                              Normalize<T>, ConvolveStep<T>, ScanStep<T>};

}  // namespace

Kernels Of(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return kKernels<Float16>;
    case DataType::kBFloat16:
      return kKernels<BFloat16>;
    default:
      return kKernels<float>;
  }
}

}  // namespace bamba::cpu::BAMBA_ISA
