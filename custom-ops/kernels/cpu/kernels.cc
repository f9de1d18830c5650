// Compiled once for every instruction set, which BAMBA_ISA names.

#include "cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "cpu/vector.h"
#include "numeric.h"

namespace bamba::cpu::BAMBA_ISA {
namespace {

constexpr int kLanes = Vec::kLanes;

float Softplus(float v) { return std::max(v, 0.0f) + std::log1p(std::exp(-std::fabs(v))); }

float SiluOf(float v) { return v / (1.0f + std::exp(-v)); }

float TimeStep(const Work& work, int64_t head, float raw) {
  const float step = Softplus(raw + work.tensors.dt_bias[head]);
  return std::min(std::max(step, work.shape.dt_min), work.shape.dt_max);
}

template <typename T>
const T* TokenOf(const Work& work, int64_t token) {
  return static_cast<const T*>(work.tensors.zxbcdt) + token * work.shape.projected();
}

template <typename T>
const T* PastConv(const Work& work, int64_t row, int64_t channel) {
  const int64_t taps = work.shape.conv_width - 1;
  return static_cast<const T*>(work.tensors.past_conv_state) +
         (row * work.shape.conv_channels() + channel) * taps;
}

// sums[m][j] += a(m, k) b[k][j] for a block of kRows by kVectors vectors. a is any layout: rows
// a_row apart, k a_step apart.
template <int kRows, int kVectors>
void MultiplyBlock(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step,
                   float* c, int64_t c_row, int64_t depth) {
  Vec sums[kRows][kVectors];
  for (int m = 0; m < kRows; ++m) {
    for (int j = 0; j < kVectors; ++j) {
      sums[m][j] = Vec::Load(c + m * c_row + j * kLanes);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec columns[kVectors];
    for (int j = 0; j < kVectors; ++j) {
      columns[j] = Vec::Load(b + k * b_step + j * kLanes);
    }
    for (int m = 0; m < kRows; ++m) {
      const Vec left = Vec::All(a[m * a_row + k * a_step]);
      for (int j = 0; j < kVectors; ++j) {
        sums[m][j] = Fma(left, columns[j], sums[m][j]);
      }
    }
  }
  for (int m = 0; m < kRows; ++m) {
    for (int j = 0; j < kVectors; ++j) {
      sums[m][j].Store(c + m * c_row + j * kLanes);
    }
  }
}

// c [rows, columns] += a b, columns a multiple of kPad.
void Multiply(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step,
              float* c, int64_t c_row, int64_t rows, int64_t columns, int64_t depth) {
  constexpr int kVectors = kPad / kLanes < 2 ? 1 : 2;
  for (int64_t j = 0; j < columns; j += kVectors * kLanes) {
    int64_t m = 0;
    for (; m + 4 <= rows; m += 4) {
      MultiplyBlock<4, kVectors>(a + m * a_row, a_row, a_step, b + j, b_step, c + m * c_row + j,
                                 c_row, depth);
    }
    for (; m < rows; ++m) {
      MultiplyBlock<1, kVectors>(a + m * a_row, a_row, a_step, b + j, b_step, c + m * c_row + j,
                                 c_row, depth);
    }
  }
}

void TurnTaps(const Work& work, int64_t first_channel, int64_t count) {
  const int64_t width = work.shape.conv_width;
  for (int64_t c = first_channel; c < first_channel + count; ++c) {
    for (int64_t k = 0; k < width; ++k) {
      work.taps[k * work.shape.conv_channels() + c] = work.tensors.conv_weight[c * width + k];
    }
  }
}

// One token's input of all channels, float32; tokens before the sequence come from the past.
template <typename T>
void LoadInputs(const Work& work, const Sequence& sequence, int64_t position, float* inputs) {
  const int64_t channels = work.shape.conv_channels();
  if (position >= 0) {
    const T* u = TokenOf<T>(work, sequence.first_token + position) + work.shape.inner();
    for (int64_t c = 0; c < channels; ++c) inputs[c] = ToFloat(u[c]);
    return;
  }
  const int64_t column = work.shape.conv_width - 1 + position;
  for (int64_t c = 0; c < channels; ++c) {
    inputs[c] = ToFloat(PastConv<T>(work, sequence.state_row, c)[column]);
  }
}

// convolved of a token from the sum of its taps.
template <typename T>
void FinishConvolved(float* sums, int64_t channels) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    Silu(Vec::Load(sums + c)).Store(sums + c);
  }
  for (; c < channels; ++c) sums[c] = SiluOf(sums[c]);
  if constexpr (!std::is_same_v<T, float>) {
    for (c = 0; c < channels; ++c) sums[c] = RoundTo<T>(sums[c]);
  }
}

template <typename T>
void Convolve(const Work& work, const Span& chunk) {
  const int64_t channels = work.shape.conv_channels();
  const int64_t width = work.shape.conv_width;
  const int64_t first = chunk.sequence.first_token;
  for (int64_t t = chunk.start; t < chunk.start + chunk.count; ++t) {
    float* sums = work.convolved + (first + t) * channels;
    std::copy_n(work.tensors.conv_bias, channels, sums);
    // Each input is read once a tap, from the cache after the first.
    thread_local std::vector<float> inputs;
    inputs.resize(channels);
    for (int64_t k = 0; k < width; ++k) {
      LoadInputs<T>(work, chunk.sequence, t - width + 1 + k, inputs.data());
      const float* taps = work.taps + k * channels;
      int64_t c = 0;
      for (; c + kLanes <= channels; c += kLanes) {
        Fma(Vec::Load(taps + c), Vec::Load(inputs.data() + c), Vec::Load(sums + c)).Store(sums + c);
      }
      for (; c < channels; ++c) sums[c] += taps[c] * inputs[c];
    }
    FinishConvolved<T>(sums, channels);
    const T* raw = TokenOf<T>(work, first + t) + work.shape.inner() + channels;
    for (int64_t h = 0; h < work.shape.num_heads; ++h) {
      work.dt[(first + t) * work.shape.num_heads + h] = TimeStep(work, h, ToFloat(raw[h]));
    }
  }
}

float Dot(const float* a, const float* b, int64_t size) {
  Vec sum = Vec::All(0);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) sum = Fma(Vec::Load(a + i), Vec::Load(b + i), sum);
  float total = sum.Sum();
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

void Score(const Work& work, const Span& chunk) {
  const Mamba2Shape& shape = work.shape;
  const int64_t channels = shape.conv_channels();
  const float* first =
      work.convolved + (chunk.sequence.first_token + chunk.start) * channels + shape.inner();
  for (int64_t g = 0; g < shape.n_groups; ++g) {
    float* scores = work.scores + (chunk.index * shape.n_groups + g) * kChunk * kChunk;
    for (int64_t l = 0; l < chunk.count; ++l) {
      const float* c = first + l * channels + (shape.n_groups + g) * shape.state_size;
      for (int64_t s = 0; s <= l; ++s) {
        scores[l * kChunk + s] =
            Dot(c, first + s * channels + g * shape.state_size, shape.state_size);
      }
    }
  }
}

// A head's scan: its scratch, reused from chunk to chunk.
template <typename T>
class HeadScan {
 public:
  HeadScan(const Work& work, const Sequence& sequence, int64_t head)
      : work_(work),
        shape_(work.shape),
        sequence_(sequence),
        head_(head),
        group_(head / shape_.heads_per_group()),
        width_(Padded(shape_.head_dim)),
        state_(shape_.state_size * width_),
        x_(kChunk * width_),
        weighted_(kChunk * width_),
        y_(kChunk * width_) {}

  void Run(int64_t first_chunk) {
    LoadState();
    for (int64_t start = 0; start < sequence_.length; start += kChunk, ++first_chunk) {
      const int64_t count = std::min(kChunk, sequence_.length - start);
      LoadChunk(start, count);
      WeighScores(first_chunk, count);
      Output(start, count);
      Advance(start, count);
    }
    StoreState();
  }

 private:
  int64_t StateOffset() const {
    return (sequence_.state_row * shape_.num_heads + head_) * shape_.head_dim * shape_.state_size;
  }

  // The state is kept turned, [N, P], so that products run along channels.
  void LoadState() {
    const float* past = work_.tensors.past_recurrent_state + StateOffset();
    for (int64_t p = 0; p < shape_.head_dim; ++p) {
      for (int64_t n = 0; n < shape_.state_size; ++n) {
        state_[n * width_ + p] = past[p * shape_.state_size + n];
      }
    }
  }

  void StoreState() const {
    float* present = work_.tensors.present_recurrent_state + StateOffset();
    for (int64_t p = 0; p < shape_.head_dim; ++p) {
      for (int64_t n = 0; n < shape_.state_size; ++n) {
        present[p * shape_.state_size + n] = state_[n * width_ + p];
      }
    }
  }

  const float* ConvolvedOf(int64_t position) const {
    return work_.convolved + (sequence_.first_token + position) * shape_.conv_channels();
  }

  void LoadChunk(int64_t start, int64_t count) {
    float sum = 0;
    const float a = -std::exp(work_.tensors.a_log[head_]);
    for (int64_t l = 0; l < count; ++l) {
      const int64_t token = sequence_.first_token + start + l;
      dt_[l] = work_.dt[token * shape_.num_heads + head_];
      sum += dt_[l] * a;
      cs_[l] = sum;
      std::copy_n(ConvolvedOf(start + l) + head_ * shape_.head_dim, shape_.head_dim,
                  &x_[l * width_]);
    }
  }

  // (C Bᵀ) exp(cs_l - cs_s) dt_s, zero above the diagonal.
  void WeighScores(int64_t chunk, int64_t count) {
    const float* scores = work_.scores + (chunk * shape_.n_groups + group_) * kChunk * kChunk;
    for (int64_t l = 0; l < count; ++l) {
      for (int64_t s = 0; s <= l; s += kLanes) {
        float values[kLanes];
        (Exp(Vec::All(cs_[l]) - Vec::Load(cs_ + s)) * Vec::Load(dt_ + s)).Store(values);
        for (int64_t i = 0; i < kLanes && s + i <= l; ++i) {
          inside_[l * kChunk + s + i] = scores[l * kChunk + s + i] * values[i];
        }
      }
      std::fill(inside_ + l * kChunk + l + 1, inside_ + (l + 1) * kChunk, 0.0f);
    }
  }

  void Output(int64_t start, int64_t count) {
    const float d = work_.tensors.d[head_];
    std::fill_n(y_.begin(), count * width_, 0.0f);
    const float* c =
        ConvolvedOf(start) + shape_.inner() + (shape_.n_groups + group_) * shape_.state_size;
    Multiply(c, shape_.conv_channels(), 1, state_.data(), width_, y_.data(), width_, count, width_,
             shape_.state_size);
    for (int64_t l = 0; l < count; ++l) {
      const Vec carried = Vec::All(std::exp(cs_[l]));
      for (int64_t p = 0; p < width_; p += kLanes) {
        float* y = &y_[l * width_ + p];
        Fma(Vec::Load(y), carried, Vec::All(d) * Vec::Load(&x_[l * width_ + p])).Store(y);
      }
    }
    Multiply(inside_, kChunk, 1, x_.data(), width_, y_.data(), width_, count, width_, count);
    for (int64_t l = 0; l < count; ++l) {
      Gate(sequence_.first_token + start + l, &y_[l * width_]);
    }
  }

  // r = v silu(z).
  void Gate(int64_t token, const float* v) const {
    const T* z = TokenOf<T>(work_, token) + head_ * shape_.head_dim;
    float* r = work_.gated + token * shape_.inner() + head_ * shape_.head_dim;
    int64_t p = 0;
    for (; p + kLanes <= shape_.head_dim; p += kLanes) {
      float gate[kLanes];
      for (int i = 0; i < kLanes; ++i) gate[i] = ToFloat(z[p + i]);
      (Vec::Load(v + p) * Silu(Vec::Load(gate))).Store(r + p);
    }
    for (; p < shape_.head_dim; ++p) r[p] = v[p] * SiluOf(ToFloat(z[p]));
  }

  void Advance(int64_t start, int64_t count) {
    const float last = cs_[count - 1];
    const Vec decay = Vec::All(std::exp(last));
    for (float* s = state_.data(); s != state_.data() + state_.size(); s += kLanes) {
      (Vec::Load(s) * decay).Store(s);
    }
    for (int64_t l = 0; l < count; ++l) {
      const Vec weight = Vec::All(std::exp(last - cs_[l]) * dt_[l]);
      for (int64_t p = 0; p < width_; p += kLanes) {
        (Vec::Load(&x_[l * width_ + p]) * weight).Store(&weighted_[l * width_ + p]);
      }
    }
    const float* b = ConvolvedOf(start) + shape_.inner() + group_ * shape_.state_size;
    Multiply(b, 1, shape_.conv_channels(), weighted_.data(), width_, state_.data(), width_,
             shape_.state_size, width_, count);
  }

  const Work& work_;
  const Mamba2Shape& shape_;
  const Sequence& sequence_;
  int64_t head_;
  int64_t group_;
  int64_t width_;                // P, padded
  std::vector<float> state_;     // [N, width]
  std::vector<float> x_;         // [kChunk, width]
  std::vector<float> weighted_;  // [kChunk, width], exp(cs_last - cs) dt x
  std::vector<float> y_;         // [kChunk, width]
  float inside_[kChunk * kChunk];
  float cs_[kChunk + kPad] = {};
  float dt_[kChunk + kPad] = {};
};

template <typename T>
void Scan(const Work& work, const Sequence& sequence, int64_t first_chunk, int64_t head) {
  HeadScan<T>(work, sequence, head).Run(first_chunk);
}

// A channel's columns move down; what is read lies at or after what is written.
template <typename T>
void Shift(const Work& work, const Sequence& sequence) {
  const Mamba2Shape& shape = work.shape;
  const int64_t taps = shape.conv_width - 1;
  T* present = static_cast<T*>(work.tensors.present_conv_state) +
               sequence.state_row * shape.conv_channels() * taps;
  for (int64_t c = 0; c < shape.conv_channels(); ++c) {
    for (int64_t k = 0; k < taps; ++k) {
      const int64_t position = sequence.length - taps + k;
      present[c * taps + k] =
          position < 0 ? PastConv<T>(work, sequence.state_row, c)[taps + position]
                       : TokenOf<T>(work, sequence.first_token + position)[shape.inner() + c];
    }
  }
}

template <typename T>
void Normalize(const Work& work, int64_t token) {
  const int64_t inner = work.shape.inner();
  const int64_t size = work.shape.norm_group_size;
  for (int64_t first = 0; first < inner; first += size) {
    const float* r = work.gated + token * inner + first;
    const float mean = Dot(r, r, size) / static_cast<float>(size);
    const float scale = 1.0f / std::sqrt(mean + work.shape.epsilon);
    T* y = static_cast<T*>(work.tensors.y) + token * inner + first;
    const float* weight = work.tensors.norm_weight + first;
    for (int64_t i = 0; i < size; ++i) y[i] = FromFloat<T>(r[i] * scale * weight[i]);
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
  Shift<T>(work, sequence);
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
  const float dt =
      TimeStep(work, head, ToFloat(token[shape.inner() + shape.conv_channels() + head]));
  const float decay = std::exp(-std::exp(work.tensors.a_log[head]) * dt);
  const int64_t offset = (sequence.state_row * shape.num_heads + head) * shape.head_dim * n_count;
  const float* past = work.tensors.past_recurrent_state + offset;
  float* present = work.tensors.present_recurrent_state + offset;
  float* r = work.gated + sequence.first_token * shape.inner() + head * shape.head_dim;
  for (int64_t p = 0; p < shape.head_dim; ++p, past += n_count, present += n_count) {
    const Vec added = Vec::All(dt * x[p]);
    Vec sum = Vec::All(0);
    int64_t n = 0;
    for (; n + kLanes <= n_count; n += kLanes) {
      const Vec state = Fma(added, Vec::Load(b + n), Vec::Load(past + n) * Vec::All(decay));
      state.Store(present + n);
      sum = Fma(state, Vec::Load(c + n), sum);
    }
    float v = sum.Sum() + work.tensors.d[head] * x[p];
    for (; n < n_count; ++n) {
      present[n] = past[n] * decay + dt * x[p] * b[n];
      v += present[n] * c[n];
    }
    r[p] = v * SiluOf(ToFloat(token[head * shape.head_dim + p]));
  }
}

template <typename T>
constexpr Kernels kKernels = {TurnTaps, Convolve<T>,  Score,           Scan<T>,
                              Shift<T>, Normalize<T>, ConvolveStep<T>, ScanStep<T>};

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
