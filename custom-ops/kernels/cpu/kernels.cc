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

// An operand of a product in any layout: rows and the steps of the summed axis lie so far apart.
struct Left {
  const float* data;
  int64_t row;
  int64_t step;
};

// A matrix whose rows lie so far apart.
struct Rows {
  float* data;
  int64_t row;
};

// What a product does with what it finds in its place.
enum class Onto { kNothing, kScaled };

// c = scale c + a b for a block of kRows by kVectors vectors; onto nothing a b alone.
template <int kRows, int kVectors, Onto kOnto>
void MultiplyBlock(const Left& a, const float* b, int64_t b_row, const Rows& c, float scale,
                   int64_t depth) {
  Vec sums[kRows][kVectors];
  for (int m = 0; m < kRows; ++m) {
    for (int j = 0; j < kVectors; ++j) {
      sums[m][j] = kOnto == Onto::kNothing
                       ? Vec::All(0)
                       : Vec::Load(c.data + m * c.row + j * kLanes) * Vec::All(scale);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec columns[kVectors];
    for (int j = 0; j < kVectors; ++j) {
      columns[j] = Vec::Load(b + k * b_row + j * kLanes);
    }
    for (int m = 0; m < kRows; ++m) {
      const Vec left = Vec::All(a.data[m * a.row + k * a.step]);
      for (int j = 0; j < kVectors; ++j) {
        sums[m][j] = Fma(left, columns[j], sums[m][j]);
      }
    }
  }
  for (int m = 0; m < kRows; ++m) {
    for (int j = 0; j < kVectors; ++j) {
      sums[m][j].Store(c.data + m * c.row + j * kLanes);
    }
  }
}

// c [rows, columns] = scale c + a b, columns a multiple of kPad. Rows up to the m-th sum over at
// most depth(m) steps: a triangle is not multiplied with its zeros.
template <Onto kOnto, typename Depth>
void Multiply(const Left& a, const float* b, int64_t b_row, const Rows& c, float scale,
              int64_t rows, int64_t columns, Depth depth) {
  constexpr int kVectors = kPad / kLanes < 2 ? 1 : 2;
  for (int64_t j = 0; j < columns; j += kVectors * kLanes) {
    const auto block = [&](auto multiply, int64_t m, int64_t count) {
      multiply(Left{a.data + m * a.row, a.row, a.step}, b + j, b_row,
               Rows{c.data + m * c.row + j, c.row}, scale, depth(m + count - 1));
    };
    int64_t m = 0;
    for (; m + 4 <= rows; m += 4) {
      block(MultiplyBlock<4, kVectors, kOnto>, m, 4);
    }
    for (; m < rows; ++m) {
      block(MultiplyBlock<1, kVectors, kOnto>, m, 1);
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

// SiLU of the sums of taps, as x, B and C are kept.
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

// The sums of taps of a token near the sequence's start: inputs before it come from the past.
template <typename T>
void SumTapsFromPast(const Work& work, const Sequence& sequence, int64_t position, float* sums) {
  const int64_t channels = work.shape.conv_channels();
  const int64_t width = work.shape.conv_width;
  for (int64_t c = 0; c < channels; ++c) {
    float sum = work.tensors.conv_bias[c];
    for (int64_t k = 0; k < width; ++k) {
      const int64_t at = position - width + 1 + k;
      const T input = at < 0 ? PastConv<T>(work, sequence.state_row, c)[width - 1 + at]
                             : TokenOf<T>(work, sequence.first_token + at)[work.shape.inner() + c];
      sum += work.taps[k * channels + c] * ToFloat(input);
    }
    sums[c] = sum;
  }
}

// The same of any later token. kWidth is conv_width, or 0 for any.
template <typename T, int kWidth>
void SumTaps(const Work& work, const Sequence& sequence, int64_t position, float* sums) {
  const int64_t channels = work.shape.conv_channels();
  const int64_t width = kWidth > 0 ? kWidth : work.shape.conv_width;
  const int64_t stride = work.shape.projected();
  const T* inputs =
      TokenOf<T>(work, sequence.first_token + position - width + 1) + work.shape.inner();
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    Vec sum = Vec::Load(work.tensors.conv_bias + c);
    for (int64_t k = 0; k < width; ++k) {
      sum = Fma(Vec::Load(work.taps + k * channels + c), LoadFloats(inputs + k * stride + c), sum);
    }
    sum.Store(sums + c);
  }
  for (; c < channels; ++c) {
    float sum = work.tensors.conv_bias[c];
    for (int64_t k = 0; k < width; ++k) {
      sum += work.taps[k * channels + c] * ToFloat(inputs[k * stride + c]);
    }
    sums[c] = sum;
  }
}

template <typename T>
void Convolve(const Work& work, const Span& chunk) {
  const int64_t channels = work.shape.conv_channels();
  const int64_t heads = work.shape.num_heads;
  const int64_t first_token = chunk.sequence.first_token;
  const auto sum_taps = work.shape.conv_width == 4 ? SumTaps<T, 4> : SumTaps<T, 0>;
  for (int64_t t = chunk.start; t < chunk.start + chunk.count; ++t) {
    float* sums = work.convolved + (first_token + t) * channels;
    const bool reaches_past = t < work.shape.conv_width - 1;
    (reaches_past ? SumTapsFromPast<T> : sum_taps)(work, chunk.sequence, t, sums);
    FinishConvolved<T>(sums, channels);
    const T* raw = TokenOf<T>(work, first_token + t) + work.shape.inner() + channels;
    for (int64_t h = 0; h < heads; ++h) {
      work.dt[(first_token + t) * heads + h] = TimeStep(work, h, ToFloat(raw[h]));
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
  const int64_t size = shape.state_size;
  const int64_t channels = shape.conv_channels();
  const float* first =
      work.convolved + (chunk.sequence.first_token + chunk.start) * channels + shape.inner();
  for (int64_t g = 0; g < shape.n_groups; ++g) {
    float* b = work.b + ChunkOffset(shape, chunk.index, g, kChunk * size);
    float* c = work.c + ChunkOffset(shape, chunk.index, g, kChunk * size);
    float* scores = work.scores + ChunkOffset(shape, chunk.index, g, kChunk * kChunk);
    for (int64_t l = 0; l < chunk.count; ++l) {
      std::copy_n(first + l * channels + g * size, size, b + l * size);
      std::copy_n(first + l * channels + (shape.n_groups + g) * size, size, c + l * size);
      for (int64_t s = 0; s <= l; ++s) {
        scores[l * kChunk + s] = Dot(c + l * size, b + s * size, size);
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
      Fetch(start, count);
      WeighScores(first_chunk, count);
      Output(first_chunk, start, count);
      Advance(first_chunk, count);
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

  // Asks for the places of v that this chunk will write, and for x of the next chunk: each token's
  // lies on another page.
  void Fetch(int64_t start, int64_t count) const {
#if defined(__GNUC__)
    constexpr int64_t kLine = 16;
    const int64_t offset = head_ * shape_.head_dim;
    for (int64_t t = start; t < start + count; ++t) {
      const float* v = work_.scanned + (sequence_.first_token + t) * shape_.inner() + offset;
      for (int64_t p = 0; p < shape_.head_dim; p += kLine) __builtin_prefetch(v + p, 1);
    }
    for (int64_t t = start + count; t < std::min(start + 2 * kChunk, sequence_.length); ++t) {
      const float* x = ConvolvedOf(t) + offset;
      for (int64_t p = 0; p < shape_.head_dim; p += kLine) __builtin_prefetch(x + p);
    }
#else
    (void)start;
    (void)count;
#endif
  }

  // (C Bᵀ) exp(cs_l - cs_s) dt_s, zero above the diagonal.
  void WeighScores(int64_t chunk, int64_t count) {
    const float* scores = work_.scores + ChunkOffset(shape_, chunk, group_, kChunk * kChunk);
    for (int64_t l = 0; l < count; ++l) {
      for (int64_t s = 0; s <= l; s += kLanes) {
        const Vec weight = Exp(Vec::All(cs_[l]) - Vec::Load(cs_ + s)) * Vec::Load(dt_ + s);
        (weight * Vec::Load(scores + l * kChunk + s)).Store(inside_ + l * kChunk + s);
      }
      // What was written past the diagonal means nothing.
      std::fill(inside_ + l * kChunk + l + 1, inside_ + (l + 1) * kChunk, 0.0f);
    }
  }

  void Output(int64_t chunk, int64_t start, int64_t count) {
    const float d = work_.tensors.d[head_];
    const int64_t size = shape_.state_size;
    const float* c = work_.c + ChunkOffset(shape_, chunk, group_, kChunk * size);
    const Rows y = {y_.data(), width_};
    Multiply<Onto::kNothing>({c, size, 1}, state_.data(), width_, y, 0, count, width_,
                             [=](int64_t) { return size; });
    for (int64_t l = 0; l < count; ++l) {
      const Vec carried = Vec::All(std::exp(cs_[l]));
      for (int64_t p = 0; p < width_; p += kLanes) {
        float* v = &y_[l * width_ + p];
        Fma(Vec::Load(v), carried, Vec::All(d) * Vec::Load(&x_[l * width_ + p])).Store(v);
      }
    }
    Multiply<Onto::kScaled>({inside_, kChunk, 1}, x_.data(), width_, y, 1, count, width_,
                            [](int64_t row) { return row + 1; });
    for (int64_t l = 0; l < count; ++l) {
      std::copy_n(&y_[l * width_], shape_.head_dim,
                  work_.scanned + (sequence_.first_token + start + l) * shape_.inner() +
                      head_ * shape_.head_dim);
    }
  }

  void Advance(int64_t chunk, int64_t count) {
    const float last = cs_[count - 1];
    for (int64_t l = 0; l < count; ++l) {
      const Vec weight = Vec::All(std::exp(last - cs_[l]) * dt_[l]);
      for (int64_t p = 0; p < width_; p += kLanes) {
        (Vec::Load(&x_[l * width_ + p]) * weight).Store(&weighted_[l * width_ + p]);
      }
    }
    const int64_t size = shape_.state_size;
    const float* b = work_.b + ChunkOffset(shape_, chunk, group_, kChunk * size);
    Multiply<Onto::kScaled>({b, 1, size}, weighted_.data(), width_, {state_.data(), width_},
                            std::exp(last), size, width_, [=](int64_t) { return count; });
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

// scanned becomes r = v silu(z), and the sum of its squares is returned.
template <typename T>
float Gate(const T* z, float* v, int64_t size) {
  Vec squares = Vec::All(0);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const Vec r = Vec::Load(v + i) * Silu(LoadFloats(z + i));
    squares = Fma(r, r, squares);
    r.Store(v + i);
  }
  float sum = squares.Sum();
  for (; i < size; ++i) {
    v[i] *= SiluOf(ToFloat(z[i]));
    sum += v[i] * v[i];
  }
  return sum;
}

template <typename T>
void Finish(const Work& work, int64_t token) {
  const int64_t inner = work.shape.inner();
  const int64_t size = work.shape.norm_group_size;
  for (int64_t first = 0; first < inner; first += size) {
    float* r = work.scanned + token * inner + first;
    const float mean = Gate(TokenOf<T>(work, token) + first, r, size) / static_cast<float>(size);
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
  float* v = work.scanned + sequence.first_token * shape.inner() + head * shape.head_dim;
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
}

template <typename T>
constexpr Kernels kKernels = {TurnTaps, Convolve<T>, Score,           Scan<T>,
                              Shift<T>, Finish<T>,   ConvolveStep<T>, ScanStep<T>};

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
