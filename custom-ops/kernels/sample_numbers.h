// The arithmetic of choosing tokens, for host and device alike.

#ifndef BAMBA_KERNELS_SAMPLE_NUMBERS_H_
#define BAMBA_KERNELS_SAMPLE_NUMBERS_H_

#include <bit>
#include <cstdint>
#include <limits>

#include "sample_tokens.h"

#if defined(__CUDACC__)
#define BAMBA_BOTH __host__ __device__ inline
#else
#define BAMBA_BOTH inline
#endif

namespace bamba::sampling {

// Whether a token can be chosen at all; not if NaN.
BAMBA_BOTH bool Counts(float score) { return score > -std::numeric_limits<float>::infinity(); }

// A token's place in the ranking: by score, highest first, and of equal scores by id, lowest first.
// The token that ranks earlier has the lower rank.
using Rank = uint64_t;

constexpr Rank kNoRank = ~Rank{0};
constexpr int kRankBits = 32 + kTokenBits;

BAMBA_BOTH Rank RankOf(float score, int32_t id) {
  // Adding zero makes of negative zero, which equals it, the same bits.
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  // The bits of floats order like integers once the negative ones are turned around and put below
  // the others.
  const uint32_t ascending = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return static_cast<Rank>(~ascending) << kTokenBits | static_cast<uint32_t>(id);
}

BAMBA_BOTH float ScoreOf(Rank rank) {
  const uint32_t ascending = ~static_cast<uint32_t>(rank >> kTokenBits);
  return std::bit_cast<float>((ascending & 0x80000000u) != 0 ? ascending & 0x7fffffffu
                                                             : ~ascending);
}

BAMBA_BOTH int32_t IdOf(Rank rank) {
  return static_cast<int32_t>(rank & static_cast<uint32_t>(kMostTokens));
}

// The rank behind which no token has at least this score, or a score that counts.
BAMBA_BOTH Rank LastAtLeast(double score) {
  const double lowest = std::numeric_limits<float>::lowest();
  return RankOf(static_cast<float>(score > lowest ? score : lowest), kMostTokens);
}

// exp(x) of x up to 0 as SoftmaxWeights of Bamba.Onnx has it, operation by operation, so that
// nothing may be fused: x = k ln 2 + r, then 2^k times the Taylor polynomial of r of degree 13.
BAMBA_BOTH double ExponentialOf(double x) {
  constexpr double kRounder = 6755399441055744.0;  // leaves an integer in the sum's low bits
  if (!(x >= -708.0)) {
    return 0;
  }
  const double rounded = x * 1.4426950408889634 + kRounder;
  const double k = rounded - kRounder;
  const double r = x - k * 0.693147180369123816490 - k * 1.90821492927058770002e-10;
  const double square = r * r;
  double even = 1.0 / 479001600;
  even = even * square + 1.0 / 3628800;
  even = even * square + 1.0 / 40320;
  even = even * square + 1.0 / 720;
  even = even * square + 1.0 / 24;
  even = even * square + 1.0 / 2;
  even = even * square + 1.0;
  double odd = 1.0 / 6227020800;
  odd = odd * square + 1.0 / 39916800;
  odd = odd * square + 1.0 / 362880;
  odd = odd * square + 1.0 / 5040;
  odd = odd * square + 1.0 / 120;
  odd = odd * square + 1.0 / 6;
  odd = odd * square + 1.0;
  const uint64_t power = (std::bit_cast<uint64_t>(rounded) << 52) + std::bit_cast<uint64_t>(1.0);
  return (odd * r + even) * std::bit_cast<double>(power);
}

// What a token weighs beside the highest score's 1.
struct Softmax {
  float highest;
  double temperature;  // above 0

  BAMBA_BOTH double WeightOf(float score) const {
    if (!Counts(score)) {
      return 0;
    }
    // The highest itself has exponent 0 even where it is infinite and the difference is none.
    const double difference =
        score == highest ? 0.0 : static_cast<double>(score) - static_cast<double>(highest);
    return ExponentialOf(difference / temperature);
  }
};

// A number in [0, 1) of 53 random bits: Philox 4x32-10 (Salmon et al. 2011) of counter (step, 0).
BAMBA_BOTH double Uniform(uint64_t seed, uint64_t step) {
  uint32_t c0 = static_cast<uint32_t>(step);
  uint32_t c1 = static_cast<uint32_t>(step >> 32);
  uint32_t c2 = 0;
  uint32_t c3 = 0;
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c0;
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(product1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(product1);
    c2 = static_cast<uint32_t>(product0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(product0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  const uint64_t bits = (static_cast<uint64_t>(c1) << 32 | c0) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

// How many tokens there are and what they weigh together, in integers: whatever the order of
// additions, the sum is the same. A weight is rounded at 2^-64.
struct Tally {
  uint64_t units = 0;  // of 2^-40
  uint64_t rest = 0;   // the count from bit 44 on, below it units of 2^-64

  static constexpr int kCountBit = 44;

  BAMBA_BOTH uint64_t count() const { return rest >> kCountBit; }

  BAMBA_BOTH double mass() const {
    const uint64_t low = rest & ((uint64_t{1} << kCountBit) - 1);
    return static_cast<double>(units + (low >> 24)) * 0x1p-40 +
           static_cast<double>(low & 0xffffff) * 0x1p-64;
  }

  BAMBA_BOTH Tally operator+(const Tally& other) const {
    return {units + other.units, rest + other.rest};
  }
};

// One token of a weight in [0, 1].
BAMBA_BOTH Tally TallyOf(double weight) {
  const double scaled = weight * 0x1p40;
  const uint64_t units = static_cast<uint64_t>(scaled);
  const uint64_t low = static_cast<uint64_t>((scaled - static_cast<double>(units)) * 0x1p24 + 0.5);
  return {units, low + (uint64_t{1} << Tally::kCountBit)};
}

// Bands of scores, the highest first: all of a 64th wide but the last. Equal scores share one.
constexpr int kBands = 2048;

BAMBA_BOTH int BandOf(float score, float highest) {
  if (score == highest) {
    return 0;
  }
  const float band = (highest - score) * 64.0f;
  return band < kBands - 1 ? static_cast<int>(band) : kBands - 1;
}

}  // namespace bamba::sampling

#endif  // BAMBA_KERNELS_SAMPLE_NUMBERS_H_
