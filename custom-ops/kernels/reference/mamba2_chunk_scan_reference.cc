#include "reference/mamba2_chunk_scan_reference.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "numeric.h"
#include "sequences.h"

namespace bamba::reference {
namespace {

double Softplus(double v) { return std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v))); }

double Silu(double v) { return v / (1.0 + std::exp(-v)); }

// One sequence, token by token.
template <typename T>
class Walk {
 public:
  Walk(const Mamba2Shape& shape, const Mamba2Tensors& tensors, const Sequence& sequence)
      : shape_(shape),
        tensors_(tensors),
        sequence_(sequence),
        window_(shape.conv_channels() * shape.conv_width),
        convolved_(shape.conv_channels()),
        state_(shape.inner() * shape.state_size),
        gated_(shape.inner()) {}

  void Run() {
    LoadStates();
    for (int64_t t = 0; t < sequence_.length; ++t) {
      const int64_t token = sequence_.first_token + t;
      const T* z = static_cast<const T*>(tensors_.zxbcdt) + token * shape_.projected();
      Convolve(z + shape_.inner());
      for (int64_t h = 0; h < shape_.num_heads; ++h) {
        AdvanceHead(h, z);
      }
      Normalize(static_cast<T*>(tensors_.y) + token * shape_.inner());
    }
    StoreRecurrentState();
    StoreConvState();
  }

 private:
  int64_t taps() const { return shape_.conv_width - 1; }

  int64_t ConvOffset() const { return sequence_.state_row * shape_.conv_channels() * taps(); }

  int64_t StateOffset() const { return sequence_.state_row * shape_.inner() * shape_.state_size; }

  void LoadStates() {
    const T* conv = static_cast<const T*>(tensors_.past_conv_state) + ConvOffset();
    for (int64_t c = 0; c < shape_.conv_channels(); ++c) {
      std::copy_n(conv + c * taps(), taps(), &window_[c * shape_.conv_width] + 1);
    }
    std::copy_n(tensors_.past_recurrent_state + StateOffset(), state_.size(), state_.begin());
  }

  void StoreRecurrentState() {
    float* state = tensors_.present_recurrent_state + StateOffset();
    std::transform(state_.begin(), state_.end(), state,
                   [](double value) { return static_cast<float>(value); });
  }

  void StoreConvState() {
    T* conv = static_cast<T*>(tensors_.present_conv_state) + ConvOffset();
    for (int64_t c = 0; c < shape_.conv_channels(); ++c) {
      std::copy_n(&window_[c * shape_.conv_width] + 1, taps(), conv + c * taps());
    }
  }

  void Convolve(const T* u) {
    const int64_t width = shape_.conv_width;
    for (int64_t c = 0; c < shape_.conv_channels(); ++c) {
      T* window = &window_[c * width];
      std::copy(window + 1, window + width, window);
      window[width - 1] = u[c];
      double sum = tensors_.conv_bias[c];
      for (int64_t k = 0; k < width; ++k) {
        sum += static_cast<double>(tensors_.conv_weight[c * width + k]) * ToFloat(window[k]);
      }
      convolved_[c] = RoundTo<T>(static_cast<float>(Silu(sum)));
    }
  }

  // S = exp(dt A) S + dt x ⊗ B, v = S C + D x, r = v silu(z).
  void AdvanceHead(int64_t h, const T* z) {
    const int64_t p_count = shape_.head_dim;
    const int64_t n_count = shape_.state_size;
    const int64_t group = h / shape_.heads_per_group();
    const double* x = &convolved_[h * p_count];
    const double* b = &convolved_[shape_.inner() + group * n_count];
    const double* c = b + shape_.n_groups * n_count;
    const double raw = ToFloat(z[shape_.inner() + shape_.conv_channels() + h]);
    const double dt = std::min<double>(
        std::max<double>(Softplus(raw + tensors_.dt_bias[h]), shape_.dt_min), shape_.dt_max);
    const double decay = std::exp(-std::exp(static_cast<double>(tensors_.a_log[h])) * dt);
    for (int64_t p = 0; p < p_count; ++p) {
      double* state = &state_[(h * p_count + p) * n_count];
      double v = tensors_.d[h] * x[p];
      for (int64_t n = 0; n < n_count; ++n) {
        state[n] = decay * state[n] + dt * x[p] * b[n];
        v += state[n] * c[n];
      }
      gated_[h * p_count + p] = v * Silu(ToFloat(z[h * p_count + p]));
    }
  }

  void Normalize(T* y) const {
    for (int64_t first = 0; first < shape_.inner(); first += shape_.norm_group_size) {
      double squares = 0;
      for (int64_t i = first; i < first + shape_.norm_group_size; ++i) {
        squares += gated_[i] * gated_[i];
      }
      const double scale = 1.0 / std::sqrt(squares / shape_.norm_group_size + shape_.epsilon);
      for (int64_t i = first; i < first + shape_.norm_group_size; ++i) {
        y[i] = FromFloat<T>(static_cast<float>(gated_[i] * scale * tensors_.norm_weight[i]));
      }
    }
  }

  const Mamba2Shape& shape_;
  const Mamba2Tensors& tensors_;
  Sequence sequence_;
  std::vector<T> window_;          // [Cd, K], the last K inputs of each channel
  std::vector<double> convolved_;  // [Cd]
  std::vector<double> state_;      // [H, P, N]
  std::vector<double> gated_;      // [E]
};

template <typename T>
void Run(const Mamba2Shape& shape, const Mamba2Tensors& tensors) {
  for (int64_t s = 0; s < shape.num_sequences; ++s) {
    Walk<T>(shape, tensors, SequenceAt(shape, tensors, s)).Run();
  }
  FinishRest(shape, tensors);
}

}  // namespace

void Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors) {
  switch (shape.data_type) {
    case DataType::kFloat32:
      return Run<float>(shape, tensors);
    case DataType::kFloat16:
      return Run<Float16>(shape, tensors);
    case DataType::kBFloat16:
      return Run<BFloat16>(shape, tensors);
  }
}

}  // namespace bamba::reference
