// Vectors of bytes and of int32 of the instruction set that a file is compiled for, and the dot
// products of weights' codes with rounded activations. Beside vector.h: a vector of int32 has as
// many lanes as one of float32, and a vector of bytes four times as many.

#ifndef BAMBA_KERNELS_CPU_BYTES_H_
#define BAMBA_KERNELS_CPU_BYTES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu/vector.h"

namespace bamba::cpu::BAMBA_ISA {

#if defined(__AVX512VNNI__)

struct Ints {
  __m512i v;
  static Ints Zero() { return {_mm512_setzero_si512()}; }
};

struct Bytes {
  static constexpr int kCount = 64;
  __m512i v;
  static Bytes Load(const void* p) { return {_mm512_loadu_si512(p)}; }
  // The same four in every lane.
  static Bytes Repeat(const void* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return {_mm512_set1_epi32(four)};
  }
  void Store(void* p) const { _mm512_storeu_si512(p, v); }
};

inline Vec ToFloats(Ints a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline Bytes LowNibbles(Bytes a) { return {_mm512_and_si512(a.v, _mm512_set1_epi8(15))}; }
inline Bytes HighNibbles(Bytes a) { return LowNibbles({_mm512_srli_epi16(a.v, 4)}); }
inline Bytes WholeCodes(Bytes a) { return a; }

// What WholeCodes takes off codes of 8 bits.
constexpr float kWholeCodesOffset = 0;

// sums + the dot products of each lane's four codes with its four activations, for codes of kBits
// bits. No sum saturates.
template <int kBits>
Ints Dot(Ints sums, Bytes codes, Bytes activations) {
#if defined(__GNUC__)
  // GCC copies the sums of its own function from register to register and back, twice a product.
  asm("vpdpbusd %2, %1, %0" : "+v"(sums.v) : "v"(codes.v), "vm"(activations.v));
  return sums;
#else
  return {_mm512_dpbusd_epi32(sums.v, codes.v, activations.v)};
#endif
}

// kParts floats, each in as many lanes as its neighbours; four are read.
template <int kParts>
Vec Spread(const float* p) {
  const __m512 four = _mm512_broadcast_f32x4(_mm_loadu_ps(p));
  const __m512i index = kParts == 2
                            ? _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
                            : _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  return {_mm512_permutevar_ps(four, index)};
}

// Of 128-bit lanes: the even ones of a, then those of b; and the odd ones.
inline __m512i EvenLanes(__m512i a, __m512i b) { return _mm512_shuffle_i32x4(a, b, 0x88); }
inline __m512i OddLanes(__m512i a, __m512i b) { return _mm512_shuffle_i32x4(a, b, 0xdd); }

// Turns a square of 16 rows of 16 fours of bytes.
inline void Transpose(Bytes (&rows)[16]) {
  __m512i turned[4][4];  // lane l of [b][j] is column 4 l + j of rows 4 b ... 4 b + 3
  for (int b = 0; b < 4; ++b) {
    const Bytes* r = rows + 4 * b;
    const __m512i low01 = _mm512_unpacklo_epi32(r[0].v, r[1].v);
    const __m512i low23 = _mm512_unpacklo_epi32(r[2].v, r[3].v);
    const __m512i high01 = _mm512_unpackhi_epi32(r[0].v, r[1].v);
    const __m512i high23 = _mm512_unpackhi_epi32(r[2].v, r[3].v);
    turned[b][0] = _mm512_unpacklo_epi64(low01, low23);
    turned[b][1] = _mm512_unpackhi_epi64(low01, low23);
    turned[b][2] = _mm512_unpacklo_epi64(high01, high23);
    turned[b][3] = _mm512_unpackhi_epi64(high01, high23);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i even01 = EvenLanes(turned[0][j], turned[1][j]);
    const __m512i even23 = EvenLanes(turned[2][j], turned[3][j]);
    const __m512i odd01 = OddLanes(turned[0][j], turned[1][j]);
    const __m512i odd23 = OddLanes(turned[2][j], turned[3][j]);
    rows[j].v = EvenLanes(even01, even23);
    rows[4 + j].v = EvenLanes(odd01, odd23);
    rows[8 + j].v = OddLanes(even01, even23);
    rows[12 + j].v = OddLanes(odd01, odd23);
  }
}

#elif defined(__AVX2__)

struct Ints {
  __m256i v;
  static Ints Zero() { return {_mm256_setzero_si256()}; }
};

struct Bytes {
  static constexpr int kCount = 32;
  __m256i v;
  static Bytes Load(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
  static Bytes Repeat(const void* p) {
    int32_t four;
    std::memcpy(&four, p, 4);
    return {_mm256_set1_epi32(four)};
  }
  void Store(void* p) const { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
};

inline Vec ToFloats(Ints a) { return {_mm256_cvtepi32_ps(a.v)}; }
inline Bytes LowNibbles(Bytes a) { return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))}; }
inline Bytes HighNibbles(Bytes a) { return LowNibbles({_mm256_srli_epi16(a.v, 4)}); }

// As signed bytes, for Dot's sake.
inline Bytes WholeCodes(Bytes a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi8(-128))}; }
constexpr float kWholeCodesOffset = 128;

// Sums of two products fit 16 bits: those of nibbles are at most 2 * 15 * 127, those of bytes whose
// sign has gone over to the activations 2 * 128 * 127.
template <int kBits>
Ints Dot(Ints sums, Bytes codes, Bytes activations) {
  const __m256i pairs = kBits == 4 ? _mm256_maddubs_epi16(codes.v, activations.v)
                                   : _mm256_maddubs_epi16(_mm256_abs_epi8(codes.v),
                                                          _mm256_sign_epi8(activations.v, codes.v));
  return {_mm256_add_epi32(sums.v, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))};
}

template <int kParts>
Vec Spread(const float* p) {
  static_assert(kParts == 2);
  return {_mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(p)),
                               _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1))};
}

inline void Transpose(Bytes (&rows)[8]) {
  __m256i turned[2][4];  // lane l of [b][j] is column 4 l + j of rows 4 b ... 4 b + 3
  for (int b = 0; b < 2; ++b) {
    const Bytes* r = rows + 4 * b;
    const __m256i low01 = _mm256_unpacklo_epi32(r[0].v, r[1].v);
    const __m256i low23 = _mm256_unpacklo_epi32(r[2].v, r[3].v);
    const __m256i high01 = _mm256_unpackhi_epi32(r[0].v, r[1].v);
    const __m256i high23 = _mm256_unpackhi_epi32(r[2].v, r[3].v);
    turned[b][0] = _mm256_unpacklo_epi64(low01, low23);
    turned[b][1] = _mm256_unpackhi_epi64(low01, low23);
    turned[b][2] = _mm256_unpacklo_epi64(high01, high23);
    turned[b][3] = _mm256_unpackhi_epi64(high01, high23);
  }
  for (int j = 0; j < 4; ++j) {
    rows[j].v = _mm256_permute2x128_si256(turned[0][j], turned[1][j], 0x20);
    rows[4 + j].v = _mm256_permute2x128_si256(turned[0][j], turned[1][j], 0x31);
  }
}

#else

struct Ints {
  int32_t v[Vec::kLanes];
  static Ints Zero() { return {}; }
};

struct Bytes {
  static constexpr int kCount = 4 * Vec::kLanes;
  uint8_t v[kCount];
  static Bytes Load(const void* p) {
    Bytes bytes;
    std::memcpy(bytes.v, p, kCount);
    return bytes;
  }
  static Bytes Repeat(const void* p) {
    Bytes bytes;
    for (int i = 0; i < Vec::kLanes; ++i) std::memcpy(bytes.v + 4 * i, p, 4);
    return bytes;
  }
  void Store(void* p) const { std::memcpy(p, v, kCount); }
};

inline Vec ToFloats(Ints a) {
  Vec result;
  for (int i = 0; i < Vec::kLanes; ++i) result.v[i] = static_cast<float>(a.v[i]);
  return result;
}
inline Bytes LowNibbles(Bytes a) {
  for (uint8_t& byte : a.v) byte &= 15;
  return a;
}
inline Bytes HighNibbles(Bytes a) {
  for (uint8_t& byte : a.v) byte >>= 4;
  return a;
}
inline Bytes WholeCodes(Bytes a) { return a; }
constexpr float kWholeCodesOffset = 0;

template <int kBits>
Ints Dot(Ints sums, const Bytes& codes, const Bytes& activations) {
  for (int i = 0; i < Bytes::kCount; ++i) {
    sums.v[i / 4] += codes.v[i] * static_cast<int8_t>(activations.v[i]);
  }
  return sums;
}

inline void Transpose(Bytes (&rows)[Vec::kLanes]) {
  for (int i = 0; i < Vec::kLanes; ++i) {
    for (int j = 0; j < i; ++j) {
      for (int b = 0; b < 4; ++b) std::swap(rows[i].v[4 * j + b], rows[j].v[4 * i + b]);
    }
  }
}

#endif

// The lowest byte of each lane.
inline void StoreLowBytes(Vec v, int8_t* p) {
#if defined(__AVX512VNNI__)
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(v.v)));
#else
  float lanes[Vec::kLanes];
  v.Store(lanes);
  for (int i = 0; i < Vec::kLanes; ++i) {
    p[i] = static_cast<int8_t>(std::bit_cast<uint32_t>(lanes[i]));
  }
#endif
}

// As many packed codes as a vector of float32 has lanes, in their order.
#if defined(__AVX2__)
// The nibbles of eight bytes, the low one of each and then the high one.
inline __m128i Nibbles(__m128i packed) {
  const __m128i wide = _mm_cvtepu8_epi16(packed);
  return _mm_and_si128(_mm_or_si128(wide, _mm_slli_epi16(wide, 4)), _mm_set1_epi8(15));
}
template <int kBits>
Vec LoadCodes(const uint8_t* p) {
  __m128i codes;
  if constexpr (Vec::kLanes * kBits == 128) {
    codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  } else if constexpr (Vec::kLanes * kBits == 64) {
    codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  } else {
    int32_t four;
    std::memcpy(&four, p, 4);
    codes = _mm_cvtsi32_si128(four);
  }
  if constexpr (kBits == 4) codes = Nibbles(codes);
#if defined(__AVX512VNNI__)
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes))};
#else
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes))};
#endif
}
#else
template <int kBits>
Vec LoadCodes(const uint8_t* p) {
  Vec result;
  for (int i = 0; i < Vec::kLanes; ++i) {
    const int code = kBits == 8 ? p[i] : (p[i / 2] >> (i % 2 * 4)) & 15;
    result.v[i] = static_cast<float>(code);
  }
  return result;
}
#endif

// The codes that lie in a vector, a part for each place in a byte: all their low nibbles and all
// their high ones, or the bytes themselves.
template <int kBits>
struct Codes {
  static constexpr int kParts = 8 / kBits;
  Bytes parts[kParts];

  explicit Codes(Bytes packed) {
    if constexpr (kBits == 4) {
      parts[0] = LowNibbles(packed);
      parts[1] = HighNibbles(packed);
    } else {
      parts[0] = WholeCodes(packed);
    }
  }
};

// The first `count` bytes, fewer than a vector's, and zeros.
inline Bytes LoadFirst(const void* p, int64_t count) {
  uint8_t bytes[Bytes::kCount] = {};
  std::memcpy(bytes, p, static_cast<size_t>(count));
  return Bytes::Load(bytes);
}

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_BYTES_H_
