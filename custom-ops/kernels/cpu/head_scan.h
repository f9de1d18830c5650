// The scan of a head of a sequence, chunk by chunk, in the chunked form of the operator's page.

#ifndef BAMBA_KERNELS_CPU_HEAD_SCAN_H_
#define BAMBA_KERNELS_CPU_HEAD_SCAN_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/convolution.h"
#include "cpu/kernels.h"
#include "cpu/products.h"
#include "cpu/vector.h"

namespace bamba::cpu::BAMBA_ISA {

// What a head's next chunk will read and write, whose tokens each lie on other pages: asked for
// while this chunk is worked on, a line at a time, since a processor remembers only so many
// requests, and products need some of them.
template <typename T>
class NextTokens {
 public:
  // Asked `times` times.
  NextTokens(const Work& work, const Sequence& sequence, int64_t head, int64_t start, int64_t times)
      : work_(work),
        token_(sequence.first_token + start),
        end_(sequence.first_token + std::min(start + kChunk, sequence.length)),
        first_channel_(head * work.shape.head_dim),
        together_((kChunk * LinesOf(work.shape.head_dim) + times - 1) / times) {}

  void Ask() {
    for (int64_t i = 0; i < together_ && token_ < end_; ++i) {
      const int64_t channel = first_channel_ + line_ * kLine;
      const T* z = TokenOf<T>(work_, token_) + channel;
      Prefetch(z);
      Prefetch(z + work_.shape.inner());
      PrefetchToWrite(work_.gated + token_ * work_.shape.inner() + channel);
      if (++line_ == LinesOf(work_.shape.head_dim)) {
        line_ = 0;
        ++token_;
      }
    }
  }

 private:
  static int64_t LinesOf(int64_t channels) { return (channels + kLine - 1) / kLine; }

  const Work& work_;
  int64_t token_;
  int64_t end_;
  int64_t first_channel_;
  int64_t together_;
  int64_t line_ = 0;
};

// What a head needs while it works on a chunk, and the next one after it.
struct ScanScratch {
  explicit ScanScratch(const Mamba2Shape& shape)
      : x(kChunk, shape.head_dim), weighted(kChunk, shape.head_dim), v(kChunk, shape.head_dim) {}

  Panels x;         // [kChunk, P]
  Panels weighted;  // [kChunk, P], exp(cs_last - cs) dt x
  Panels v;         // [kChunk, P]
  alignas(64) float cs[kChunk];
  alignas(64) float carried[kChunk];  // exp(cs)
  alignas(64) float left[kChunk];     // exp(cs_last - cs) dt
  alignas(64) float inside[kChunk * kChunk];
};

template <typename T>
class HeadScan {
 public:
  HeadScan(const Work& work, const Sequence& sequence, int64_t head, ScanScratch& scratch)
      : work_(work),
        shape_(work.shape),
        sequence_(sequence),
        head_(head),
        group_(head / shape_.heads_per_group()),
        states_(Padded(shape_.state_size)),
        scratch_(scratch),
        convolution_(work, sequence, head * shape_.head_dim, shape_.head_dim),
        state_(states_, shape_.head_dim) {}

  // Asks for the state and the first tokens.
  void Ask() const {
    const float* past = work_.tensors.past_recurrent_state + StateOffset();
    for (int64_t i = 0; i < shape_.head_dim * shape_.state_size; i += kLine) Prefetch(past + i);
    NextTokens<T>(work_, sequence_, head_, 0, 1).Ask();
  }

  // The state is kept turned, [N, P], so that products run along channels.
  void LoadState() {
    const float* past = work_.tensors.past_recurrent_state + StateOffset();
    EachSquare([&](int64_t p, int64_t n, int64_t rows, int64_t columns, int64_t vector) {
      Square square;
      square.Load(past + p * shape_.state_size + n, shape_.state_size, rows, columns);
      square.Transpose();
      square.Store(state_.at(n, vector), kPanel);
    });
  }

  void StoreState() const {
    float* present = work_.tensors.present_recurrent_state + StateOffset();
    EachSquare([&](int64_t p, int64_t n, int64_t rows, int64_t columns, int64_t vector) {
      Square square;
      square.Load(state_.at(n, vector), kPanel);
      square.Transpose();
      square.Store(present + p * shape_.state_size + n, shape_.state_size, rows, columns);
    });
  }

  // Works on a chunk.
  void Advance(const Span& chunk) {
    const int64_t tiles = states_ / kTileRows * state_.panels();
    NextTokens<T> next(work_, sequence_, head_, chunk.start + kChunk, tiles * kChunk / kBetween);
    Decay(chunk);
    convolution_.Run(chunk.start, chunk.count, [&](int64_t v) {
      return [x = scratch_.x.at(0, v), weighted = scratch_.weighted.at(0, v), left = scratch_.left](
                 int64_t l, Vec of_token) {
        of_token.Store(x + l * kPanel);
        (of_token * Vec::All(left[l])).Store(weighted + l * kPanel);
      };
    });
    WeighScores(chunk);
    EachPanel(state_.vectors(), [&](auto width, int64_t vector) {
      Output<width()>(vector, chunk);
      AdvanceState<width()>(vector, chunk, next);
    });
    Gate(chunk);
  }

 private:
  int64_t StateOffset() const {
    return (sequence_.state_row * shape_.num_heads + head_) * shape_.head_dim * shape_.state_size;
  }

  // Calls task(p, n, channels, states, vector) for squares of the state, of which so many channels
  // and states are real.
  template <typename Task>
  void EachSquare(Task task) const {
    for (int64_t p = 0; p < shape_.head_dim; p += Vec::kLanes) {
      for (int64_t n = 0; n < states_; n += Vec::kLanes) {
        task(p, n, std::min<int64_t>(Vec::kLanes, shape_.head_dim - p),
             std::clamp<int64_t>(shape_.state_size - n, 0, Vec::kLanes), p / Vec::kLanes);
      }
    }
  }

  // Sums of dt A, and what they make of the state before the chunk and of its inputs at its end.
  void Decay(const Span& chunk) {
    dt_ = work_.dt + (chunk.index * shape_.num_heads + head_) * kChunk;
    const float a = -std::exp(work_.tensors.a_log[head_]);
    float sum = 0;
    for (int64_t l = 0; l < kChunk; ++l) {
      sum += dt_[l] * a;  // past the end dt is zero
      scratch_.cs[l] = sum;
    }
    for (int64_t l = 0; l < kChunk; l += Vec::kLanes) {
      const Vec cs = Vec::Load(scratch_.cs + l);
      Exp(cs).Store(scratch_.carried + l);
      (Exp(Vec::All(sum) - cs) * Vec::Load(dt_ + l)).Store(scratch_.left + l);
    }
    decay_ = scratch_.carried[chunk.count - 1];
  }

  // (C Bᵀ) exp(cs_l - cs_s) dt_s, turned, zero where l < s; D comes to the diagonal.
  void WeighScores(const Span& chunk) {
    const float* scores = work_.scores + ChunkOffset(shape_, chunk.index, group_, kChunk * kChunk);
    for (int64_t s = 0; s < chunk.count; ++s) {
      const Vec cs = Vec::All(scratch_.cs[s]);
      const Vec dt = Vec::All(dt_[s]);
      float* inside = scratch_.inside + s * kChunk;
      for (int64_t l = 0; l < kChunk; l += Vec::kLanes) {
        if (l + Vec::kLanes <= s) {
          Vec::All(0).Store(inside + l);
          continue;
        }
        const Vec weight = Exp(Min(Vec::Load(scratch_.cs + l) - cs, Vec::All(0))) * dt;
        (weight * Vec::Load(scores + s * kChunk + l)).Store(inside + l);
      }
      inside[s] += work_.tensors.d[head_];
    }
  }

  template <int kVectors>
  void Output(int64_t vector, const Span& chunk) {
    const float* c = work_.c + ChunkOffset(shape_, chunk.index, group_, states_ * kChunk);
    for (int64_t l = 0; l < chunk.count; l += kTileRows) {
      Tile<kVectors> tile;
      tile.Clear();
      tile.Add({c + l * states_, kTileRows}, state_.at(0, vector), shape_.state_size);
      tile.Multiply([&](int m) { return Vec::All(scratch_.carried[l + m]); });
      tile.Add({scratch_.inside + l, kChunk}, scratch_.x.at(0, vector),
               std::min(l + kTileRows, chunk.count));
      tile.Store(scratch_.v.at(l, vector));
    }
  }

  template <int kVectors>
  void AdvanceState(int64_t vector, const Span& chunk, NextTokens<T>& next) {
    const float* b = work_.b + ChunkOffset(shape_, chunk.index, group_, states_ * kChunk);
    const Vec decay = Vec::All(decay_);
    for (int64_t n = 0; n < states_; n += kTileRows) {
      Tile<kVectors> tile;
      tile.Load(state_.at(n, vector));
      tile.Multiply([&](int) { return decay; });
      tile.Add({b + n * kChunk, kTileRows}, scratch_.weighted.at(0, vector), chunk.count,
               [&] { next.Ask(); });
      tile.Store(state_.at(n, vector));
    }
  }

  void Gate(const Span& chunk) const {
    const int64_t token = sequence_.first_token + chunk.start;
    const int64_t projected = shape_.projected();
    const int64_t inner = shape_.inner();
    for (int64_t vector = 0; vector < state_.vectors(); ++vector) {
      const int64_t first = vector * Vec::kLanes;
      const int64_t rest = shape_.head_dim - first;
      const T* z = TokenOf<T>(work_, token) + head_ * shape_.head_dim + first;
      float* r = work_.gated + token * inner + head_ * shape_.head_dim + first;
      const float* v = scratch_.v.at(0, vector);
      for (int64_t l = chunk.count; l > 0; --l, z += projected, r += inner, v += kPanel) {
        StoreFloats(Vec::Load(v) * Silu(LoadFloats(z, rest)), r, rest);
      }
    }
  }

  const Work& work_;
  const Mamba2Shape& shape_;
  const Sequence& sequence_;
  int64_t head_;
  int64_t group_;
  int64_t states_;  // N, padded
  ScanScratch& scratch_;
  Convolution<T> convolution_;
  Panels state_;               // [N, P]
  const float* dt_ = nullptr;  // [kChunk], zero past the chunk's end
  float decay_ = 0;
};

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_HEAD_SCAN_H_
