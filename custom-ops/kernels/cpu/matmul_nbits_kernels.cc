// Compiled once for every instruction set, which BAMBA_ISA names.

#include "cpu/matmul_nbits_kernels.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/bytes.h"
#include "cpu/vector.h"
#include "numeric.h"

namespace bamba::cpu::BAMBA_ISA {
namespace {

constexpr int kLanes = Vec::kLanes;
constexpr int kVector = Bytes::kCount;

// Vectors of columns of a panel, and the most rows of a tile: as many sums as registers hold.
constexpr int kPanelVectors = 2;
constexpr int kPanelColumns = kPanelVectors * kLanes;
constexpr int kTileRows = kLanes == 16 ? 6 : 4;
// Elements of K that a panel has at a time, for the cache's sake, and rows whose sums are kept from
// one such block to the next.
constexpr int64_t kPanelDepth = 1024;
constexpr int64_t kPanelRows = 512;
constexpr int64_t kPanelGroups = kPanelDepth / 32;
// Groups of a row of W whose scales are made ready at once for dot products along K.
constexpr int64_t kSpanGroups = 64;

// Elements of one type at any index.
template <typename S>
void LoadAll(const void* elements, int64_t first, int64_t count, float* floats) {
  const S* from = static_cast<const S*>(elements) + first;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) LoadFloats(from + i).Store(floats + i);
  for (; i < count; ++i) floats[i] = ToFloat(from[i]);
}

void LoadAll(DataType type, const void* elements, int64_t first, int64_t count, float* floats) {
  switch (type) {
    case DataType::kFloat16:
      return LoadAll<Float16>(elements, first, count, floats);
    case DataType::kBFloat16:
      return LoadAll<BFloat16>(elements, first, count, floats);
    default:
      return LoadAll<float>(elements, first, count, floats);
  }
}

template <typename T>
void StoreAll(const float* floats, int64_t count, void* elements, int64_t first) {
  T* to = static_cast<T*>(elements) + first;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) StoreFloats(Vec::Load(floats + i), to + i);
  for (; i < count; ++i) to[i] = FromFloat<T>(floats[i]);
}

void StoreAll(DataType type, const float* floats, int64_t count, void* elements, int64_t first) {
  switch (type) {
    case DataType::kFloat16:
      return StoreAll<Float16>(floats, count, elements, first);
    case DataType::kBFloat16:
      return StoreAll<BFloat16>(floats, count, elements, first);
    default:
      return StoreAll<float>(floats, count, elements, first);
  }
}

// The largest lane, or NaN where a lane is.
float Largest(Vec v) {
  float lanes[kLanes];
  v.Store(lanes);
  float largest = lanes[0];
  for (int i = 1; i < kLanes; ++i) largest = std::max(largest, lanes[i]);
  return largest;
}

// A group of activations as int8.
struct Rounded {
  int8_t codes[kMostBlockSize];
  float scale;
  float offset;  // scale times the sum of codes
};

// Rounds to 127ths of the largest magnitude. A group with a value that is not finite has a scale
// that is NaN.
void Round(const float* values, int64_t count, Rounded& rounded) {
  Vec largest = Vec::All(0);
  Vec poison = Vec::All(0);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec v = Vec::Load(values + i);
    largest = Max(largest, Max(v, Vec::All(0) - v));
    poison = Fma(v, Vec::All(0), poison);
  }
  // What is smaller has no float32 reciprocal to speak of, and is zero.
  const float most = Largest(largest);
  const float inverse = most > 1e-30f ? 127.0f / most : 0.0f;
  // 1.5 * 2^23: adding it leaves the whole number nearest, of two's complement, in the lowest byte.
  const Vec shift = Vec::All(12582912.0f);
  uint32_t shifted[kMostBlockSize];
  for (int64_t i = 0; i < count; i += kLanes) {
    float lanes[kLanes];
    Fma(Vec::Load(values + i), Vec::All(inverse), shift).Store(lanes);
    std::memcpy(shifted + i, lanes, sizeof lanes);
  }
  int32_t sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    rounded.codes[i] = static_cast<int8_t>(shifted[i]);
    sum += rounded.codes[i];
  }
  rounded.scale = (inverse > 0 ? most / 127.0f : 0.0f) + poison.Sum();
  rounded.offset = rounded.scale * static_cast<float>(sum);
}

// Lays a group's codes out as the kernels meet W's: those for the low nibbles of kWidth bytes, then
// those for the high ones; kWidth bytes of each row of the tile lie side by side.
template <int kBits, int kWidth>
void Place(const int8_t* codes, int64_t group, int64_t block_size, const RowTile& tile, int64_t row,
           int8_t* placed) {
  constexpr int kParts = 8 / kBits;
  const int64_t bytes = block_size / kParts;
  const int64_t run = std::min<int64_t>(kWidth, bytes);
  for (int part = 0; part < kParts; ++part) {
    int8_t own[kMostBlockSize];
    for (int64_t i = 0; i < bytes; ++i) own[i] = codes[i * kParts + part];
    for (int64_t i = 0; i < bytes; i += run) {
      const int64_t at = group * bytes + i;
      const int64_t place = (at / kWidth * kParts + part) * tile.rows + row;
      std::memcpy(placed + place * kWidth + at % kWidth, own + i, static_cast<size_t>(run));
    }
  }
}

// kWidth is that of Place.
template <int kBits, int kWidth>
void RoundTile(const NBitsWork& work, const RowTile& tile) {
  const MatMulNBitsShape& shape = work.shape;
  const int64_t size = shape.block_size;
  const int64_t groups = shape.groups();
  int8_t* placed = work.codes + tile.first * work.padded_depth();
  float* scales = work.scales + tile.first * work.padded_groups();
  float* offsets = work.offsets + tile.first * work.padded_groups();
  for (int64_t row = 0; row < tile.rows; ++row) {
    for (int64_t g = 0; g < groups; ++g) {
      float values[kMostBlockSize] = {};
      LoadAll(shape.data_type, work.tensors.x, (tile.first + row) * shape.depth + g * size,
              std::min(size, shape.depth - g * size), values);
      Rounded rounded;
      Round(values, size, rounded);
      Place<kBits, kWidth>(rounded.codes, g, size, tile, row, placed);
      scales[g * tile.rows + row] = rounded.scale;
      offsets[g * tile.rows + row] = rounded.offset;
    }
  }
  const int64_t end = groups * tile.rows;
  std::fill(scales + end, scales + work.padded_groups() * tile.rows, 0.0f);
  std::fill(offsets + end, offsets + work.padded_groups() * tile.rows, 0.0f);
}

// Zero points of a column's groups first ... first + count - 1; `first` is even.
template <int kBits>
void LoadZeroPoints(const NBitsWork& work, int64_t column, int64_t first, int64_t count,
                    float* zero_points) {
  const MatMulNBitsShape& shape = work.shape;
  const void* given = work.tensors.zero_points;
  switch (shape.zero_points) {
    case ZeroPoints::kMiddle:
      std::fill_n(zero_points, count, kBits == 8 ? 128.0f : 8.0f);
      return;
    case ZeroPoints::kScaleType:
      return LoadAll(shape.scale_type, given, column * shape.groups() + first, count, zero_points);
    case ZeroPoints::kPacked:
      break;
  }
  constexpr int kParts = 8 / kBits;
  constexpr int kMask = (1 << kBits) - 1;
  const uint8_t* packed =
      static_cast<const uint8_t*>(given) + column * shape.zero_point_bytes() + first / kParts;
  for (int64_t i = 0; i < count; ++i) {
    zero_points[i] = static_cast<float>((packed[i / kParts] >> (i % kParts * kBits)) & kMask);
  }
}

// Scales s of a column's groups, and -z s, which times the sum of a group's activations is what its
// zero point makes of y; zeros up to a whole vector.
template <int kBits>
void LoadScales(const NBitsWork& work, int64_t column, int64_t first, int64_t count, float* scales,
                float* shifts) {
  const int64_t padded = NBitsWork::Padded(count, kLanes);
  LoadAll(work.shape.scale_type, work.tensors.scales, column * work.shape.groups() + first, count,
          scales);
  LoadZeroPoints<kBits>(work, column, first, count, shifts);
  std::fill(scales + count, scales + padded, 0.0f);
  std::fill(shifts + count, shifts + padded, 0.0f);
  const Vec offset = Vec::All(kBits == 8 ? kWholeCodesOffset : 0.0f);
  for (int64_t i = 0; i < padded; i += kLanes) {
    ((offset - Vec::Load(shifts + i)) * Vec::Load(scales + i)).Store(shifts + i);
  }
}

// Dot products along K of kRows rows of x with kColumns rows of W.
template <int kBits, int kBlockSize, int kRows, int kColumns>
class Dots {
 public:
  static constexpr int kParts = Codes<kBits>::kParts;
  // A vector of codes holds some groups, or a group takes some vectors.
  static constexpr int kGroupBytes = kBlockSize / kParts;
  static constexpr int kGroups = std::max(1, kVector / kGroupBytes);
  static constexpr int kVectors = std::max(1, kGroupBytes / kVector);

  // Columns past the last are the last.
  Dots(const NBitsWork& work, int64_t column, int64_t last) : work_(work) {
    for (int c = 0; c < kColumns; ++c) {
      columns_[c] = std::min(column + c, last);
      codes_[c] = work.tensors.codes + columns_[c] * work.shape.code_bytes();
      for (int r = 0; r < kRows; ++r) sums_[c][r] = Vec::All(0);
    }
  }

  void Run(float (&y)[kRows][kColumns]) {
    const int64_t groups = work_.shape.groups();
    for (int64_t first = 0; first < groups; first += kSpanGroups) {
      const int64_t count = std::min(kSpanGroups, groups - first);
      for (int c = 0; c < kColumns; ++c) MakeScalesReady(c, first, count);
      const int64_t whole = count / kGroups * kGroups;
      for (int64_t g = 0; g < whole; g += kGroups) {
        AddGroups(first + g, g, [](const uint8_t* codes) { return Bytes::Load(codes); });
      }
      if (whole < count) {
        const int64_t bytes = (count - whole) * kGroupBytes;
        AddGroups(first + whole, whole,
                  [=](const uint8_t* codes) { return LoadFirst(codes, bytes); });
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int c = 0; c < kColumns; ++c) y[r][c] = sums_[c][r].Sum();
    }
  }

 private:
  // Products of scales of both sides; what zero points make of y goes to the sums at once.
  void MakeScalesReady(int c, int64_t first, int64_t count) {
    float scales[kSpanGroups];
    float shifts[kSpanGroups];
    LoadScales<kBits>(work_, columns_[c], first, count, scales, shifts);
    for (int r = 0; r < kRows; ++r) {
      const int64_t row = r * work_.padded_groups() + first;
      for (int64_t i = 0; i < count; i += kLanes) {
        (Vec::Load(scales + i) * Vec::Load(work_.scales + row + i)).Store(scales_[c][r] + i);
        sums_[c][r] = Fma(Vec::Load(shifts + i), Vec::Load(work_.offsets + row + i), sums_[c][r]);
      }
    }
  }

  // Adds the products of a vector's groups, or of one that takes vectors. `index` is the first's
  // place among the scales that are ready.
  template <typename Load>
  void AddGroups(int64_t group, int64_t index, Load load) {
    Ints products[kColumns][kRows];
    for (int c = 0; c < kColumns; ++c) {
      for (int r = 0; r < kRows; ++r) products[c][r] = Ints::Zero();
    }
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = group * kGroupBytes + v * kVector;
      const int8_t* x = work_.codes + at * kParts;
      for (int c = 0; c < kColumns; ++c) {
        Prefetch(codes_[c] + at + kPrefetchBytes);
        const Codes<kBits> codes(load(codes_[c] + at));
        for (int r = 0; r < kRows; ++r) {
          for (int part = 0; part < kParts; ++part) {
            const Bytes activations = Bytes::Load(x + r * work_.padded_depth() + part * kVector);
            products[c][r] = Dot<kBits>(products[c][r], codes.parts[part], activations);
          }
        }
      }
    }
    for (int c = 0; c < kColumns; ++c) {
      for (int r = 0; r < kRows; ++r) {
        sums_[c][r] = Fma(ToFloats(products[c][r]), ScalesAt(c, r, index), sums_[c][r]);
      }
    }
  }

  Vec ScalesAt(int c, int r, int64_t index) const {
    if constexpr (kGroups == 1) {
      return Vec::All(scales_[c][r][index]);
    } else {
      return Spread<kGroups>(scales_[c][r] + index);
    }
  }

  static constexpr int64_t kPrefetchBytes = 4096;

  const NBitsWork& work_;
  int64_t columns_[kColumns];
  const uint8_t* codes_[kColumns];
  Vec sums_[kColumns][kRows];
  // Four are read where one is left.
  float scales_[kColumns][kRows][kSpanGroups + 4] = {};
};

template <int kBits, int kBlockSize, int kRows>
void DotRows(const NBitsWork& work, int64_t first, int64_t last) {
  constexpr int kColumns = kRows == 1 ? 2 : 2;
  for (int64_t n = first; n < last; n += kColumns) {
    float y[kRows][kColumns];
    Dots<kBits, kBlockSize, kRows, kColumns>(work, n, last - 1).Run(y);
    const int64_t count = std::min<int64_t>(kColumns, last - n);
    for (int r = 0; r < kRows; ++r) {
      StoreAll(work.shape.data_type, y[r], count, work.tensors.y, r * work.shape.columns + n);
    }
  }
}

// Some columns' codes of a block of K, turned: vectors of four neighbours in K of each column, in
// the order of the tiles'; and their scales and shifts.
struct Panel {
  alignas(64) uint8_t codes[kPanelDepth * kPanelColumns];
  float scales[kPanelGroups][kPanelColumns];
  float shifts[kPanelGroups][kPanelColumns];
  // Of rows of x, from one block of K to the next.
  float sums[kPanelRows][kPanelColumns];
};

template <int kBits>
class PanelProduct {
 public:
  PanelProduct(const NBitsWork& work, int64_t panel, Panel& memory)
      : work_(work), shape_(work.shape), first_column_(panel * kPanelColumns), panel_(memory) {
    // Columns past the last are the last.
    for (int64_t n = 0; n < kPanelColumns; ++n) {
      columns_[n] = std::min(first_column_ + n, shape_.columns - 1);
    }
  }

  // Rows of y whose tiles are first ... last - 1.
  void Run(int64_t first, int64_t last) {
    const int64_t groups = shape_.groups();
    const int64_t most_groups = kPanelDepth / shape_.block_size;
    first_row_ = work_.TileAt(first).first;
    for (int64_t g = 0; g < groups; g += most_groups) {
      const int64_t count = std::min(most_groups, groups - g);
      Unpack(g, count);
      for (int64_t i = first; i < last; ++i) MultiplyTile(work_.TileAt(i), g, count);
    }
    for (int64_t i = first; i < last; ++i) Store(work_.TileAt(i));
  }

 private:
  static constexpr int kParts = Codes<kBits>::kParts;

  void Unpack(int64_t first_group, int64_t groups) {
    const int64_t group_bytes = shape_.block_size / kParts;
    const int64_t start = first_group * group_bytes;
    const int64_t bytes = groups * group_bytes;
    const int64_t whole = bytes / kVector * kVector;
    for (int64_t at = 0; at < whole; at += kVector) {
      UnpackVectors(start + at, at, [](const uint8_t* codes) { return Bytes::Load(codes); });
    }
    if (whole < bytes) {
      UnpackVectors(start + whole, whole,
                    [=](const uint8_t* codes) { return LoadFirst(codes, bytes - whole); });
    }
    for (int64_t n = 0; n < kPanelColumns; ++n) UnpackScales(n, first_group, groups);
  }

  template <typename Load>
  void UnpackVectors(int64_t from, int64_t to, Load load) {
    for (int v = 0; v < kPanelVectors; ++v) {
      Bytes rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const uint8_t* codes =
            work_.tensors.codes + columns_[v * kLanes + i] * shape_.code_bytes() + from;
        Prefetch(codes + kPanelDepth / kParts);
        rows[i] = load(codes);
      }
      Transpose(rows);
      for (int j = 0; j < kLanes; ++j) {
        const Codes<kBits> codes(rows[j]);
        for (int part = 0; part < kParts; ++part) {
          const int64_t place = ((to / 4 + j) * kParts + part) * kPanelVectors + v;
          codes.parts[part].Store(panel_.codes + place * kVector);
        }
      }
    }
  }

  void UnpackScales(int64_t n, int64_t first_group, int64_t groups) {
    float scales[kPanelGroups];
    float shifts[kPanelGroups];
    LoadScales<kBits>(work_, columns_[n], first_group, groups, scales, shifts);
    for (int64_t g = 0; g < groups; ++g) {
      panel_.scales[g][n] = scales[g];
      panel_.shifts[g][n] = shifts[g];
    }
  }

  void MultiplyTile(const RowTile& tile, int64_t first_group, int64_t groups) {
    switch (tile.rows) {
      case 1:
        return MultiplyRows<1>(tile, first_group, groups);
      case 2:
        return MultiplyRows<2>(tile, first_group, groups);
      case 3:
        return MultiplyRows<3>(tile, first_group, groups);
      case 4:
        return MultiplyRows<4>(tile, first_group, groups);
      case 5:
        return MultiplyRows<5>(tile, first_group, groups);
      default:
        return MultiplyRows<6>(tile, first_group, groups);
    }
  }

  template <int kRows>
  void MultiplyRows(const RowTile& tile, int64_t first_group, int64_t groups) {
    float(*kept)[kPanelColumns] = panel_.sums + (tile.first - first_row_);
    Vec sums[kRows][kPanelVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kPanelVectors; ++v) {
        sums[r][v] = first_group == 0 ? Vec::All(0) : Vec::Load(kept[r] + v * kLanes);
      }
    }
    const int64_t group_start = tile.first * work_.padded_groups() + first_group * kRows;
    const float* scales = work_.scales + group_start;
    const float* offsets = work_.offsets + group_start;
    const int8_t* x =
        work_.codes + tile.first * work_.padded_depth() + first_group * shape_.block_size * kRows;
    const uint8_t* w = panel_.codes;
    for (int64_t g = 0; g < groups; ++g) {
      Ints products[kRows][kPanelVectors];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kPanelVectors; ++v) products[r][v] = Ints::Zero();
      }
      for (int64_t k = 0; k < shape_.block_size; k += 4) {
        Bytes codes[kPanelVectors];
        for (int v = 0; v < kPanelVectors; ++v) codes[v] = Bytes::Load(w + v * kVector);
        for (int r = 0; r < kRows; ++r) {
          const Bytes activations = Bytes::Repeat(x + 4 * r);
          for (int v = 0; v < kPanelVectors; ++v) {
            products[r][v] = Dot<kBits>(products[r][v], codes[v], activations);
          }
        }
        w += kPanelVectors * kVector;
        x += kRows * 4;
      }
      for (int v = 0; v < kPanelVectors; ++v) {
        const Vec scale = Vec::Load(panel_.scales[g] + v * kLanes);
        const Vec shift = Vec::Load(panel_.shifts[g] + v * kLanes);
        for (int r = 0; r < kRows; ++r) {
          const Vec product = ToFloats(products[r][v]) * Vec::All(scales[g * kRows + r]);
          sums[r][v] = Fma(product, scale, sums[r][v]);
          sums[r][v] = Fma(shift, Vec::All(offsets[g * kRows + r]), sums[r][v]);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kPanelVectors; ++v) sums[r][v].Store(kept[r] + v * kLanes);
    }
  }

  void Store(const RowTile& tile) const {
    const int64_t count = std::min<int64_t>(kPanelColumns, shape_.columns - first_column_);
    for (int64_t row = tile.first; row < tile.first + tile.rows; ++row) {
      StoreAll(shape_.data_type, panel_.sums[row - first_row_], count, work_.tensors.y,
               row * shape_.columns + first_column_);
    }
  }

  const NBitsWork& work_;
  const MatMulNBitsShape& shape_;
  int64_t first_column_;
  int64_t first_row_ = 0;
  int64_t columns_[kPanelColumns];
  Panel& panel_;
};

template <int kBits>
void MultiplyPanel(const NBitsWork& work, int64_t panel) {
  // A thread's own, since the host's threads outlive a call.
  static thread_local Panel memory;
  constexpr int64_t kTiles = kPanelRows / kTileRows;
  PanelProduct<kBits> product(work, panel, memory);
  for (int64_t tile = 0; tile < work.tiles; tile += kTiles) {
    product.Run(tile, std::min(tile + kTiles, work.tiles));
  }
}

template <int kBits, int kBlockSize>
auto DotOf(int64_t rows) {
  switch (rows) {
    case 1:
      return DotRows<kBits, kBlockSize, 1>;
    case 2:
      return DotRows<kBits, kBlockSize, 2>;
    default:
      return DotRows<kBits, kBlockSize, kMostDotRows>;
  }
}

template <int kBits>
NBitsKernels KernelsOf(const MatMulNBitsShape& shape) {
  NBitsKernels kernels = {};
  kernels.tile_rows = kTileRows;
  kernels.panel_columns = kPanelColumns;
  kernels.multiply = MultiplyPanel<kBits>;
  kernels.round = shape.rows > kMostDotRows ? RoundTile<kBits, 4> : RoundTile<kBits, kVector>;
  switch (shape.block_size) {
    case 32:
      kernels.dot = DotOf<kBits, 32>(shape.rows);
      break;
    case 64:
      kernels.dot = DotOf<kBits, 64>(shape.rows);
      break;
    default:
      kernels.dot = DotOf<kBits, 128>(shape.rows);
  }
  return kernels;
}

}  // namespace

NBitsKernels NBitsKernelsOf(const MatMulNBitsShape& shape) {
  return shape.bits == 4 ? KernelsOf<4>(shape) : KernelsOf<8>(shape);
}

}  // namespace bamba::cpu::BAMBA_ISA
