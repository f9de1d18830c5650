// Float32 vectors of the instruction set that a file is compiled for: AVX-512, AVX2, or arrays that
// a compiler makes the best of. Kernels are written once over this and compiled once a set.

#ifndef BAMBA_KERNELS_CPU_VECTOR_H_
#define BAMBA_KERNELS_CPU_VECTOR_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "numeric.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace bamba::cpu::BAMBA_ISA {

#if defined(__AVX512F__)

struct Vec {
  static constexpr int kLanes = 16;
  __m512 v;
  static Vec Load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec All(float x) { return {_mm512_set1_ps(x)}; }
  void Store(float* p) const { _mm512_storeu_ps(p, v); }
  float Sum() const { return _mm512_reduce_add_ps(v); }
  float Largest() const { return _mm512_reduce_max_ps(v); }
};
inline Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vec Fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
// 2^n of whole n, given as n + 1.5 * 2^23.
inline Vec PowerOfTwo(Vec shifted) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(
      _mm512_add_epi32(_mm512_castps_si512(shifted.v), _mm512_set1_epi32(127)), 23))};
}

#elif defined(__AVX2__)

struct Vec {
  static constexpr int kLanes = 8;
  __m256 v;
  static Vec Load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec All(float x) { return {_mm256_set1_ps(x)}; }
  void Store(float* p) const { _mm256_storeu_ps(p, v); }
  float Sum() const {
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
  }
  float Largest() const {
    __m128 most = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    most = _mm_max_ps(most, _mm_movehl_ps(most, most));
    return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
  }
};
inline Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Vec Fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Vec Min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Vec Max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Vec PowerOfTwo(Vec shifted) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(
      _mm256_add_epi32(_mm256_castps_si256(shifted.v), _mm256_set1_epi32(127)), 23))};
}

#else

struct Vec {
  static constexpr int kLanes = 4;
  float v[kLanes];
  static Vec Load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec All(float x) { return {{x, x, x, x}}; }
  void Store(float* p) const {
    for (int i = 0; i < kLanes; ++i) p[i] = v[i];
  }
  float Sum() const { return (v[0] + v[1]) + (v[2] + v[3]); }
  float Largest() const { return std::max(std::max(v[0], v[1]), std::max(v[2], v[3])); }
};
template <typename Operation>
inline Vec EachLane(Vec a, Vec b, Operation operation) {
  Vec result;
  for (int i = 0; i < Vec::kLanes; ++i) result.v[i] = operation(a.v[i], b.v[i]);
  return result;
}
inline Vec operator+(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x + y; });
}
inline Vec operator-(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x - y; });
}
inline Vec operator*(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x * y; });
}
inline Vec operator/(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x / y; });
}
inline Vec Fma(Vec a, Vec b, Vec c) { return a * b + c; }
// Of NaN and a number the number's place is the second's, as in the processor's own instructions.
inline Vec Min(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x < y ? x : y; });
}
inline Vec Max(Vec a, Vec b) {
  return EachLane(a, b, [](float x, float y) { return x > y ? x : y; });
}
inline Vec PowerOfTwo(Vec shifted) {
  return EachLane(shifted, shifted, [](float x, float) {
    return std::bit_cast<float>((std::bit_cast<uint32_t>(x) + 127u) << 23);
  });
}

#endif

// e^x to float32's precision: x = n ln 2 + r with |r| <= ln 2 / 2, and a polynomial for e^r. Below
// -87.3 it is e^-87.3, which is nothing beside any number that matters here; above 88 it is cut off
// short of infinity.
inline Vec Exp(Vec x) {
  const Vec shift = Vec::All(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  x = Min(Max(x, Vec::All(-87.3f)), Vec::All(88.0f));
  const Vec shifted = Fma(x, Vec::All(1.44269504f), shift);
  const Vec n = shifted - shift;
  Vec r = Fma(n, Vec::All(-0.693359375f), x);
  r = Fma(n, Vec::All(2.12194440e-4f), r);
  Vec p = Vec::All(1.9875691500e-4f);
  p = Fma(p, r, Vec::All(1.3981999507e-3f));
  p = Fma(p, r, Vec::All(8.3334519073e-3f));
  p = Fma(p, r, Vec::All(4.1665795894e-2f));
  p = Fma(p, r, Vec::All(1.6666665459e-1f));
  p = Fma(p, r, Vec::All(5.0000001201e-1f));
  return Fma(p * r, r, r + Vec::All(1.0f)) * PowerOfTwo(shifted);
}

inline Vec Silu(Vec v) { return v / (Vec::All(1.0f) + Exp(Vec::All(0.0f) - v)); }

// Conversions of neighbours of 16 bits that have instructions of their own.
#if defined(__AVX512F__)
inline Vec LoadFloats(const Float16* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Vec LoadFloats(const BFloat16* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline void StoreFloats(Vec v, Float16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(v.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#elif defined(__AVX2__)
inline Vec LoadFloats(const Float16* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline Vec LoadFloats(const BFloat16* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}
inline void StoreFloats(Vec v, Float16* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm256_cvtps_ph(v.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
#endif

// Neighbours of T as float32.
template <typename T>
Vec LoadFloats(const T* p) {
  if constexpr (std::is_same_v<T, float>) {
    return Vec::Load(p);
  } else {
    float values[Vec::kLanes];
    for (int i = 0; i < Vec::kLanes; ++i) values[i] = ToFloat(p[i]);
    return Vec::Load(values);
  }
}

// The first `count` of them, and zeros; all where count is larger than a vector.
template <typename T>
Vec LoadFirstFloats(const T* p, int64_t count) {
  if (count >= Vec::kLanes) return LoadFloats(p);
#if defined(__AVX512F__)
  const auto first = static_cast<__mmask16>((1u << count) - 1u);
  if constexpr (std::is_same_v<T, float>) {
    return {_mm512_maskz_loadu_ps(first, p)};
  } else {
    T values[Vec::kLanes];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), _mm256_maskz_loadu_epi16(first, p));
    return LoadFloats(values);
  }
#else
  T values[Vec::kLanes] = {};
  std::copy_n(p, count, values);
  return LoadFloats(values);
#endif
}

// Neighbours of T from float32.
template <typename T>
void StoreFloats(Vec v, T* p) {
  if constexpr (std::is_same_v<T, float>) {
    v.Store(p);
  } else {
    float values[Vec::kLanes];
    v.Store(values);
    for (int i = 0; i < Vec::kLanes; ++i) p[i] = FromFloat<T>(values[i]);
  }
}

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_VECTOR_H_
