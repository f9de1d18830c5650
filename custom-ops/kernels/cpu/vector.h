// Float32 vectors of the instruction set that a file is compiled for: AVX-512, AVX2, or arrays that
// a compiler makes the best of. Kernels are written once over this and compiled once a set.

#ifndef BAMBA_KERNELS_CPU_VECTOR_H_
#define BAMBA_KERNELS_CPU_VECTOR_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "numeric.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

// For small functions whose arrays are to be registers.
#if defined(__GNUC__)
#define BAMBA_INLINE __attribute__((always_inline))
#else
#define BAMBA_INLINE
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
// Lanes of a and b in turn, of their lower halves (0) or upper ones (1).
template <int kHalf>
Vec Zip(Vec a, Vec b) {
  const __m512i lower = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i lanes = _mm512_add_epi32(lower, _mm512_set1_epi32(kHalf * 8));
  return {_mm512_permutex2var_ps(a.v, lanes, b.v)};
}
// e^x of finite x: x / ln 2 = n + r with |r| <= 1/2, and the polynomial for 2^r of least relative
// error, 9.2e-8, among those that are 1 at 0.
inline Vec Exp(Vec x) {
  const __m512 power = _mm512_mul_ps(x.v, _mm512_set1_ps(1.44269504f));
  const __m512 n = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vec r = {_mm512_sub_ps(power, n)};
  Vec p = Vec::All(1.32647273e-3f);
  p = Fma(p, r, Vec::All(9.67151299e-3f));
  p = Fma(p, r, Vec::All(5.55073358e-2f));
  p = Fma(p, r, Vec::All(2.40222424e-1f));
  p = Fma(p, r, Vec::All(6.93147004e-1f));
  p = Fma(p, r, Vec::All(1.0f));
  return {_mm512_scalef_ps(p.v, n)};
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
// 2^n of whole n, given as n + 1.5 * 2^23.
inline Vec PowerOfTwo(Vec shifted) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(
      _mm256_add_epi32(_mm256_castps_si256(shifted.v), _mm256_set1_epi32(127)), 23))};
}
template <int kHalf>
Vec Zip(Vec a, Vec b) {
  const __m256 even = _mm256_unpacklo_ps(a.v, b.v);
  const __m256 odd = _mm256_unpackhi_ps(a.v, b.v);
  return {_mm256_permute2f128_ps(even, odd, kHalf == 0 ? 0x20 : 0x31)};
}

#else

// Where the compiler has vectors of its own, arithmetic is on those.
#if defined(__GNUC__)
typedef float FourFloats __attribute__((vector_size(16)));
#else
typedef float FourFloats[4];
#endif

struct Vec {
  static constexpr int kLanes = 4;
  FourFloats v;
  static Vec Load(const float* p) {
    Vec vec;
    std::memcpy(&vec.v, p, sizeof(vec.v));
    return vec;
  }
  static Vec All(float x) {
    Vec vec;
    for (int i = 0; i < kLanes; ++i) vec.v[i] = x;
    return vec;
  }
  void Store(float* p) const { std::memcpy(p, &v, sizeof(v)); }
  float Sum() const { return (v[0] + v[1]) + (v[2] + v[3]); }
  float Largest() const { return std::max(std::max(v[0], v[1]), std::max(v[2], v[3])); }
};
template <typename Operation>
inline Vec EachLane(Vec a, Vec b, Operation operation) {
  Vec result;
  for (int i = 0; i < Vec::kLanes; ++i) result.v[i] = operation(a.v[i], b.v[i]);
  return result;
}
#if defined(__GNUC__)
inline Vec operator+(Vec a, Vec b) { return {a.v + b.v}; }
inline Vec operator-(Vec a, Vec b) { return {a.v - b.v}; }
inline Vec operator*(Vec a, Vec b) { return {a.v * b.v}; }
inline Vec operator/(Vec a, Vec b) { return {a.v / b.v}; }
#else
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
#endif
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
template <int kHalf>
Vec Zip(Vec a, Vec b) {
  constexpr int kFirst = kHalf * Vec::kLanes / 2;
  Vec zipped;
  for (int i = 0; i < Vec::kLanes; ++i) {
    zipped.v[i] = (i % 2 == 0 ? a : b).v[kFirst + i / 2];
  }
  return zipped;
}

#endif

#if !defined(__AVX512F__)

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

#endif

inline Vec Silu(Vec v) { return v / (Vec::All(1.0f) + Exp(Vec::All(0.0f) - v)); }

// log(1 + e^v), computed without overflow: of u = e^-|v|, log(1 + u) = 2 artanh(u / (2 + u)).
inline Vec Softplus(Vec v) {
  const Vec zero = Vec::All(0.0f);
  const Vec u = Exp(Min(v, zero - v));
  const Vec s = u / (Vec::All(2.0f) + u);
  const Vec square = s * s;
  Vec p = Vec::All(1.0f / 13);
  p = Fma(p, square, Vec::All(1.0f / 11));
  p = Fma(p, square, Vec::All(1.0f / 9));
  p = Fma(p, square, Vec::All(1.0f / 7));
  p = Fma(p, square, Vec::All(1.0f / 5));
  p = Fma(p, square, Vec::All(1.0f / 3));
  p = Fma(p, square, Vec::All(1.0f));
  return Fma(s + s, p, Max(zero, v));
}

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
Vec LoadFloats(const T* p, int64_t count) {
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

// The same of the first `count`, where there are not enough for a whole vector.
template <typename T>
void StoreFloats(Vec v, T* p, int64_t count) {
  if (count >= Vec::kLanes) {
    StoreFloats(v, p);
    return;
  }
  T values[Vec::kLanes];
  StoreFloats(v, values);
  std::copy_n(values, count, p);
}

// Numbers of a line of the cache, in float32.
constexpr int64_t kLine = 16;

// Asks for the line of memory at a place, which need not exist, to read or write it soon. GCC takes
// a function of nothing but its own prefetches for one without effect, and drops the call.
inline void Prefetch([[maybe_unused]] const void* p) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(p)));
#elif defined(__GNUC__)
  __builtin_prefetch(p, 0, 2);
#endif
}
inline void PrefetchToWrite([[maybe_unused]] const void* p) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#elif defined(__GNUC__)
  __builtin_prefetch(p, 1, 2);
#endif
}

// What is left of numbers once they are stored as T.
template <typename T>
Vec RoundTo(Vec v) {
  if constexpr (std::is_same_v<T, float>) {
    return v;
  } else {
    T values[Vec::kLanes];
    StoreFloats(v, values);
    return LoadFloats(values);
  }
}

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_VECTOR_H_
