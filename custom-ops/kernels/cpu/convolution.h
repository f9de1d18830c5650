// The causal convolution of some neighbouring channels of a sequence, with its state.

#ifndef BAMBA_KERNELS_CPU_CONVOLUTION_H_
#define BAMBA_KERNELS_CPU_CONVOLUTION_H_

#include <algorithm>
#include <cstdint>

#include "cpu/kernels.h"
#include "cpu/products.h"
#include "cpu/vector.h"

namespace bamba::cpu::BAMBA_ISA {

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

// What a channel's input was; before the sequence's start it comes from the past.
template <typename T>
T InputOf(const Work& work, const Sequence& sequence, int64_t position, int64_t channel) {
  return position < 0
             ? PastConv<T>(work, sequence.state_row, channel)[work.shape.conv_width - 1 + position]
             : TokenOf<T>(work, sequence.first_token + position)[work.shape.inner() + channel];
}

// The conv state of some channels after a sequence. What is read of the past lies at or after what
// is written.
template <typename T>
void ShiftChannels(const Work& work, const Sequence& sequence, int64_t first, int64_t count) {
  const int64_t taps = work.shape.conv_width - 1;
  T* present = static_cast<T*>(work.tensors.present_conv_state) +
               sequence.state_row * work.shape.conv_channels() * taps;
  for (int64_t c = first; c < first + count; ++c) {
    for (int64_t k = 0; k < taps; ++k) {
      present[c * taps + k] = InputOf<T>(work, sequence, sequence.length - taps + k, c);
    }
  }
}

template <typename T>
class Convolution {
 public:
  Convolution(const Work& work, const Sequence& sequence, int64_t first_channel, int64_t channels)
      : work_(work),
        sequence_(sequence),
        width_(work.shape.conv_width),
        first_channel_(first_channel),
        channels_(channels),
        padded_(Padded(channels)),
        taps_((width_ + 1) * padded_) {
    std::fill_n(taps_.data(), (width_ + 1) * padded_, 0.0f);
    const float* weights = work.tensors.conv_weight + first_channel * width_;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t k = 0; k < width_; ++k) taps_.data()[k * padded_ + c] = weights[c * width_ + k];
    }
    std::copy_n(work.tensors.conv_bias + first_channel, channels, taps_.data() + width_ * padded_);
  }

  // x, B or C of `count` tokens from a position on, rounded to T as they are kept: store_of(v)(l,
  // x) gets the v-th vector of the l-th. Past the channels' end they are zero.
  template <typename StoreOf>
  void Run(int64_t start, int64_t count, StoreOf store_of) const {
    const int64_t from_past = std::clamp<int64_t>(width_ - 1 - start, 0, count);
    for (int64_t v = 0; v * Vec::kLanes < channels_; ++v) {
      const int64_t channel = v * Vec::kLanes;
      const auto store = store_of(v);
      for (int64_t l = 0; l < from_past; ++l) store(l, FromPast(start + l, channel));
      if (width_ == 4 && channel + Vec::kLanes <= channels_) {
        Run4(start, from_past, count, channel, store);
      } else {
        RunAny(start, from_past, count, channel, store);
      }
    }
  }

 private:
  const T* Inputs(int64_t position) const {
    return TokenOf<T>(work_, sequence_.first_token + position) + work_.shape.inner() +
           first_channel_;
  }

  // A vector of a token near the sequence's start.
  Vec FromPast(int64_t position, int64_t channel) const {
    T inputs[Vec::kLanes] = {};
    const int64_t count = std::min<int64_t>(Vec::kLanes, channels_ - channel);
    Vec sum = Vec::Load(taps_.data() + width_ * padded_ + channel);
    for (int64_t k = 0; k < width_; ++k) {
      for (int64_t c = 0; c < count; ++c) {
        inputs[c] =
            InputOf<T>(work_, sequence_, position - width_ + 1 + k, first_channel_ + channel + c);
      }
      sum = Fma(Vec::Load(taps_.data() + k * padded_ + channel), LoadFloats(inputs), sum);
    }
    return RoundTo<T>(Silu(sum));
  }

  // A vector's worth of the channels at tokens first to last, whose inputs all belong to the
  // sequence: conv_width 4 and a whole vector, each input read once.
  template <typename Store>
  void Run4(int64_t start, int64_t first, int64_t last, int64_t channel, Store store) const {
    if (first == last) return;
    const int64_t projected = work_.shape.projected();
    Vec taps[5];
    for (int k = 0; k < 5; ++k) taps[k] = Vec::Load(taps_.data() + k * padded_ + channel);
    const T* inputs = Inputs(start + first - 3) + channel;
    Vec before[3];
    for (int k = 0; k < 3; ++k) before[k] = LoadFloats(inputs + k * projected);
    inputs += 3 * projected;
    for (int64_t l = first; l < last; ++l, inputs += projected) {
      const Vec now = LoadFloats(inputs);
      Vec sum = Fma(taps[0], before[0], taps[4]);
      sum = Fma(taps[1], before[1], sum);
      sum = Fma(taps[2], before[2], sum);
      store(l, RoundTo<T>(Silu(Fma(taps[3], now, sum))));
      before[0] = before[1];
      before[1] = before[2];
      before[2] = now;
    }
  }

  // The same of any conv_width and any part of a vector.
  template <typename Store>
  void RunAny(int64_t start, int64_t first, int64_t last, int64_t channel, Store store) const {
    for (int64_t l = first; l < last; ++l) {
      Vec sum = Vec::Load(taps_.data() + width_ * padded_ + channel);
      for (int64_t k = 0; k < width_; ++k) {
        const T* inputs = Inputs(start + l - width_ + 1 + k) + channel;
        sum = Fma(Vec::Load(taps_.data() + k * padded_ + channel),
                  LoadFloats(inputs, channels_ - channel), sum);
      }
      store(l, RoundTo<T>(Silu(sum)));
    }
  }

  const Work& work_;
  const Sequence& sequence_;
  int64_t width_;
  int64_t first_channel_;
  int64_t channels_;
  int64_t padded_;
  Floats taps_;  // conv_weight turned and conv_bias, [K + 1, padded]
};

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_CONVOLUTION_H_
