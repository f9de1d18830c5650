// Small matrices in registers, and products of them: what the scan is made of. Each instruction set
// has its own tile. What is done to each vector is unrolled by hand, since only of constant places
// does GCC keep an array in registers.

#ifndef BAMBA_KERNELS_CPU_PRODUCTS_H_
#define BAMBA_KERNELS_CPU_PRODUCTS_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "cpu/vector.h"

namespace bamba::cpu::BAMBA_ISA {

// Rows of a tile, and vectors side by side: as many sums as there are registers for, so that each
// number that is loaded is used often.
#if defined(__AVX512F__)
constexpr int kTileRows = 8;
#else
constexpr int kTileRows = 4;
#endif
constexpr int kTileVectors = 2;
// Columns of a panel. A matrix lies in panels, one behind another, so that what a tile reads lies
// together.
constexpr int64_t kPanel = kTileVectors * Vec::kLanes;
// Steps of a product after which something else may be done beside it.
constexpr int64_t kBetween = 8;

// Floats on whole lines of the cache: a vector that lies on two takes twice as long.
class Floats {
 public:
  explicit Floats(int64_t size)
      : data_(static_cast<float*>(
            ::operator new(static_cast<size_t>(size) * sizeof(float), kAlignment))) {}
  ~Floats() { ::operator delete(data_, kAlignment); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  float* data() const { return data_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  float* data_;
};

// A matrix in panels of kPanel columns, of which the last may be half as wide.
class Panels {
 public:
  Panels(int64_t rows, int64_t columns)
      : rows_(rows),
        vectors_((columns + Vec::kLanes - 1) / Vec::kLanes),
        floats_(rows * panels() * kPanel) {}

  int64_t vectors() const { return vectors_; }
  int64_t panels() const { return (vectors_ + kTileVectors - 1) / kTileVectors; }
  // The vector of a row.
  float* at(int64_t row, int64_t vector) const {
    return floats_.data() + (vector / kTileVectors * rows_ + row) * kPanel +
           vector % kTileVectors * Vec::kLanes;
  }

 private:
  int64_t rows_;
  int64_t vectors_;
  Floats floats_;
};

// The left operand of a tile's product: its rows lie side by side, the steps of the summed axis so
// far apart.
struct Left {
  const float* data;
  int64_t step;
};

// kTileRows rows of kVectors vectors, of a matrix whose rows are kPanel apart.
template <int kVectors, typename Sums = std::make_integer_sequence<int, kTileRows * kVectors>>
class Tile;

template <int kVectors, int... i>
class Tile<kVectors, std::integer_sequence<int, i...>> {
 public:
  BAMBA_INLINE void Clear() { ((sums_[i] = Vec::All(0)), ...); }

  BAMBA_INLINE void Load(const float* from) { ((sums_[i] = Vec::Load(from + Offset(i))), ...); }

  BAMBA_INLINE void Store(float* to) const { (sums_[i].Store(to + Offset(i)), ...); }

  // Row m times scale(m).
  template <typename Scale>
  BAMBA_INLINE void Multiply(Scale scale) {
    ((sums_[i] = sums_[i] * scale(i / kVectors)), ...);
  }

  // Adds a b, whose summed axis is this long.
  BAMBA_INLINE void Add(const Left& a, const float* b, int64_t depth) {
    const float* left = a.data;
    for (int64_t k = 0; k < depth; ++k, left += a.step, b += kPanel) {
      ((sums_[i] =
            Fma(Vec::All(left[i / kVectors]), Vec::Load(b + i % kVectors * Vec::kLanes), sums_[i])),
       ...);
    }
  }

  // The same, and calls between() after every kBetween steps.
  template <typename Between>
  BAMBA_INLINE void Add(const Left& a, const float* b, int64_t depth, Between between) {
    int64_t k = 0;
    for (; k + kBetween <= depth; k += kBetween) {
      Add({a.data + k * a.step, a.step}, b + k * kPanel, kBetween);
      between();
    }
    Add({a.data + k * a.step, a.step}, b + k * kPanel, depth - k);
  }

 private:
  static constexpr int64_t Offset(int sum) {
    return sum / kVectors * kPanel + sum % kVectors * Vec::kLanes;
  }

  Vec sums_[sizeof...(i)];
};

// As many vectors as one has lanes.
template <typename Rows = std::make_integer_sequence<int, Vec::kLanes>>
class Square;

template <int... i>
class Square<std::integer_sequence<int, i...>> {
 public:
  // Rows that lie so far apart, of which so many, and of their numbers so many, are real: the rest
  // is zero.
  BAMBA_INLINE void Load(const float* from, int64_t stride, int64_t rows = Vec::kLanes,
                         int64_t columns = Vec::kLanes) {
    if (rows >= Vec::kLanes && columns >= Vec::kLanes) {
      ((rows_[i] = Vec::Load(from + i * stride)), ...);
    } else {
      ((rows_[i] = i < rows ? LoadFloats(from + i * stride, columns) : Vec::All(0)), ...);
    }
  }

  BAMBA_INLINE void Store(float* to, int64_t stride, int64_t rows = Vec::kLanes,
                          int64_t columns = Vec::kLanes) const {
    if (rows >= Vec::kLanes && columns >= Vec::kLanes) {
      (rows_[i].Store(to + i * stride), ...);
    } else {
      (StoreFloats(rows_[i], to + i * stride, i < rows ? columns : int64_t{0}), ...);
    }
  }

  // Lane j of row i becomes lane i of row j.
  BAMBA_INLINE void Transpose() { TransposeFrom<1>(); }

 private:
  // One round deals the rows out, the upper half between those of the lower one.
  template <int kRound>
  BAMBA_INLINE void TransposeFrom() {
    if constexpr (kRound < Vec::kLanes) {
      constexpr int kHalf = Vec::kLanes / 2;
      const Vec dealt[] = {Zip<i % 2>(rows_[i / 2], rows_[i / 2 + kHalf])...};
      ((rows_[i] = dealt[i]), ...);
      TransposeFrom<kRound * 2>();
    }
  }

  Vec rows_[Vec::kLanes];
};

// Calls task(width, vector) for the vectors that tiles lie side by side over, so many wide.
template <typename Task>
void EachPanel(int64_t vectors, Task task) {
  int64_t v = 0;
  for (; v + kTileVectors <= vectors; v += kTileVectors) {
    task(std::integral_constant<int, kTileVectors>(), v);
  }
  for (; v < vectors; ++v) task(std::integral_constant<int, 1>(), v);
}

}  // namespace bamba::cpu::BAMBA_ISA

#endif  // BAMBA_KERNELS_CPU_PRODUCTS_H_
