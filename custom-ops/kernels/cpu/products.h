// Products of small matrices, in registers: what the scan is made of. Each instruction set has its
// own tile.

#ifndef BAMBA_KERNELS_CPU_PRODUCTS_H_
#define BAMBA_KERNELS_CPU_PRODUCTS_H_

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

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

// Floats on whole lines of the cache: a vector that lies on two takes twice as long.
class Floats {
 public:
  explicit Floats(int64_t size)
      : data_(
            static_cast<float*>(::operator new(static_cast<size_t>(size) * sizeof(float), kLine))) {
  }
  ~Floats() { ::operator delete(data_, kLine); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  float* data() const { return data_; }

 private:
  static constexpr std::align_val_t kLine{64};
  float* data_;
};

// A matrix in panels of kPanel columns, of which the last may be half as wide.
class Panels {
 public:
  Panels(int64_t rows, int64_t columns)
      : rows_(rows),
        vectors_((columns + Vec::kLanes - 1) / Vec::kLanes),
        floats_(rows * ((vectors_ + 1) / kTileVectors) * kPanel) {}

  int64_t vectors() const { return vectors_; }
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

// The left operand of a product: its rows and the steps of the summed axis lie so far apart.
struct Left {
  const float* data;
  int64_t row;
  int64_t step;
};

// kTileRows rows of kVectors vectors, of a matrix whose rows are kPanel apart.
template <int kVectors>
struct Tile {
  Vec sums[kTileRows][kVectors];

  void Clear() {
    for (auto& row : sums) {
      for (Vec& sum : row) sum = Vec::All(0);
    }
  }

  void Load(const float* from) {
    for (int m = 0; m < kTileRows; ++m) {
      for (int j = 0; j < kVectors; ++j) {
        sums[m][j] = Vec::Load(from + m * kPanel + j * Vec::kLanes);
      }
    }
  }

  void Store(float* to) const {
    for (int m = 0; m < kTileRows; ++m) {
      for (int j = 0; j < kVectors; ++j) {
        sums[m][j].Store(to + m * kPanel + j * Vec::kLanes);
      }
    }
  }

  // Row m times scale(m).
  template <typename Scale>
  void Multiply(Scale scale) {
    for (int m = 0; m < kTileRows; ++m) {
      for (int j = 0; j < kVectors; ++j) sums[m][j] = sums[m][j] * scale(m);
    }
  }

  // Adds a b, whose summed axis is this long.
  void Add(const Left& a, const float* b, int64_t depth) {
    for (int64_t k = 0; k < depth; ++k) {
      Vec columns[kVectors];
      for (int j = 0; j < kVectors; ++j) columns[j] = Vec::Load(b + k * kPanel + j * Vec::kLanes);
      for (int m = 0; m < kTileRows; ++m) {
        const Vec left = Vec::All(a.data[m * a.row + k * a.step]);
        for (int j = 0; j < kVectors; ++j) sums[m][j] = Fma(left, columns[j], sums[m][j]);
      }
    }
  }
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
