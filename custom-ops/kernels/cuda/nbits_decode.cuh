// Weights of 16 bits from codes of 4 or 8, in pairs: a code's bits are laid into the significand of
// a constant, and one instruction takes the constant and the zero point away from two of them.

#ifndef BAMBA_KERNELS_CUDA_NBITS_DECODE_CUH_
#define BAMBA_KERNELS_CUDA_NBITS_DECODE_CUH_

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "numeric.cuh"

namespace bamba::cuda::nbits {

// Codes that are decoded together, and their pairs.
constexpr int kStep = 8;
constexpr int kPairs = kStep / 2;

template <typename T>
using Pair = std::conditional_t<std::is_same_v<T, __half>, __half2, __nv_bfloat162>;

template <typename T>
__device__ inline Pair<T> Twice(float value) {
  const T element = FromFloat<T>(value);
  return Pair<T>(element, element);
}

template <typename T>
__device__ inline Pair<T> PairOf(uint32_t bits) {
  return *reinterpret_cast<const Pair<T>*>(&bits);
}

template <typename Two>
__device__ inline uint32_t BitsOf(Two pair) {
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// Eight codes laid into constants: of 4 bits in one word, of 8 in two. Which codes make a pair,
// Arrange below says: the first two pairs are the even ones, and the other two the odd.
template <typename T, int kBits>
struct Laid {
  static constexpr bool kIsHalf = std::is_same_v<T, __half>;
  // Codes of 4 bits that lie second in a byte are left there by half, as sixteen times themselves.
  static constexpr float kEvenFactor = 1;
  static constexpr float kOddFactor = kIsHalf && kBits == 4 ? 1.0f / 16 : 1;
  // The constant, whose significand ends with a one's place.
  static constexpr float kConstant = kIsHalf ? 1024 : 128;

  __device__ static void Lay(const uint32_t* words, uint32_t (&pairs)[kPairs]) {
    static_assert(kIsHalf || kBits == 4, "bfloat16 has no room for 8 bits beside a constant");
    constexpr uint32_t kBoth = kIsHalf ? 0x64006400 : 0x43004300;
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      if constexpr (kBits == 8) {
        pairs[i] = __byte_perm(words[i / 2], kBoth, i % 2 == 0 ? 0x5150 : 0x5352);
      } else if constexpr (kIsHalf) {
        pairs[i] =
            MaskInto(words[0] >> (i % 2 * 8), i < kPairs / 2 ? 0x000f000f : 0x00f000f0, kBoth);
      } else {
        pairs[i] = MaskInto(words[0] >> (i % 2 * 8 + i / 2 * 4), 0x000f000f, kBoth);
      }
    }
  }

  // (word & mask) | constant.
  __device__ static uint32_t MaskInto(uint32_t word, uint32_t mask, uint32_t constant) {
    uint32_t laid;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(laid) : "r"(word), "r"(mask), "r"(constant));
    return laid;
  }
};

// Makes weights of the codes of a group. kWholeZeros says that zero points are whole numbers that
// codes can have; others are taken away by themselves, after the constant.
template <typename T, int kBits, bool kWholeZeros>
class Decoder {
 public:
  __device__ Decoder(float scale, float zero)
      : scale_(Twice<T>(scale)),
        zero_(Twice<T>(zero)),
        even_(Twice<T>(-Codes::kConstant - (kWholeZeros ? zero : 0))),
        odd_(Twice<T>(-Codes::kConstant * Codes::kOddFactor - (kWholeZeros ? zero : 0))) {}

  __device__ void Decode(const uint32_t* words, uint32_t (&weights)[kPairs]) const {
    Codes::Lay(words, weights);
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      const bool even = i < kPairs / 2;
      const float factor = even ? Codes::kEvenFactor : Codes::kOddFactor;
      Pair<T> code = __hfma2(PairOf<T>(weights[i]), Twice<T>(factor), even ? even_ : odd_);
      if constexpr (!kWholeZeros) {
        code = __hsub2(code, zero_);
      }
      weights[i] = BitsOf(__hmul2(code, scale_));
    }
  }

 private:
  using Codes = Laid<T, kBits>;

  Pair<T> scale_;
  Pair<T> zero_;
  Pair<T> even_;
  Pair<T> odd_;
};

// Of 8 bits, by way of float32.
template <bool kWholeZeros>
class Decoder<__nv_bfloat16, 8, kWholeZeros> {
 public:
  __device__ Decoder(float scale, float zero)
      : scale_(RoundTo<__nv_bfloat16>(scale)), zero_(RoundTo<__nv_bfloat16>(zero)) {}

  __device__ void Decode(const uint32_t* words, uint32_t (&weights)[kPairs]) const {
#pragma unroll
    for (int i = 0; i < kPairs; ++i) {
      const int first = i % 2 * 2;
      weights[i] = BitsOf(__floats2bfloat162_rn(Weight(words[i / 2], 0x7540 + first),
                                                Weight(words[i / 2], 0x7541 + first)));
    }
  }

 private:
  // The byte of a word that the selector's last digit names.
  __device__ float Weight(uint32_t word, uint32_t selector) const {
    constexpr float kConstant = 8388608;
    const float code = __uint_as_float(__byte_perm(word, 0x4b000000, selector)) - kConstant;
    return (code - zero_) * scale_;
  }

  float scale_;
  float zero_;
};

// Eight neighbours of x in pairs as those of their codes are.
template <int kBits>
__device__ inline void Arrange(uint4 x, uint32_t (&pairs)[kPairs]) {
  if constexpr (kBits == 8) {
    pairs[0] = x.x;
    pairs[1] = x.y;
    pairs[2] = x.z;
    pairs[3] = x.w;
  } else {
    pairs[0] = __byte_perm(x.x, x.z, 0x5410);
    pairs[1] = __byte_perm(x.y, x.w, 0x5410);
    pairs[2] = __byte_perm(x.x, x.z, 0x7632);
    pairs[3] = __byte_perm(x.y, x.w, 0x7632);
  }
}

}  // namespace bamba::cuda::nbits

#endif  // BAMBA_KERNELS_CUDA_NBITS_DECODE_CUH_
