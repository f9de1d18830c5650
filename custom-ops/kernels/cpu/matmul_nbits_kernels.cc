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
// Groups of a row of W whose scales are made ready at once; a block of K never has more.
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

// A group of activations as int8.
struct Rounded {
  int8_t codes[kMostBlockSize];
  float scale;
  float offset;  // scale times the sum of codes
};

// Rounds to 127ths of the largest magnitude. Of a group with a value that is not finite the sum of
// codes is NaN, and so is all that the offset is added to.
template <typename T>
void Round(const T* values, int64_t count, Rounded& rounded) {
  Vec largest = Vec::All(0);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec v = LoadFloats(values + i);
    largest = Max(largest, Max(v, Vec::All(0) - v));
  }
  // What is smaller has no float32 reciprocal to speak of, and is zero.
  const float most = largest.Largest();
  const float inverse = most > 1e-30f ? 127.0f / most : 0.0f;
  // 1.5 * 2^23: adding it leaves the whole number nearest, of two's complement, in the lowest byte.
  const Vec shift = Vec::All(12582912.0f);
  Vec sum = Vec::All(0);
  for (int64_t i = 0; i < count; i += kLanes) {
    const Vec shifted = Fma(LoadFloats(values + i), Vec::All(inverse), shift);
    StoreLowBytes(shifted, rounded.codes + i);
    sum = sum + (shifted - shift);
  }
  rounded.scale = inverse > 0 ? most / 127.0f : 0.0f;
  rounded.offset = rounded.scale * sum.Sum();
}

// Rounded activations lie block of K by block of K, in each block tile by tile, and as the kernels
// meet W's codes: those for the low nibbles of kWidth bytes, then those for the high ones; kWidth
// bytes of each row of the tile lie side by side. For dot products along K all is one block.
template <bool kIsTurned>
struct Layout {
  static constexpr int kWidth = kIsTurned ? 4 : kVector;

  static int64_t Depth(const NBitsWork& work) {
    return kIsTurned ? kPanelDepth : work.padded_depth();
  }

  // A tile's activations of the block that begins at an element of K.
  static int8_t* BlockAt(const NBitsWork& work, const RowTile& tile, int64_t start) {
    const int64_t depth = std::min(Depth(work), work.padded_depth() - start);
    return work.codes + start * work.shape.rows + tile.first * depth;
  }
};

// Lays out a group's codes, of which the first is element `start` of the block.
template <int kBits, bool kIsTurned>
void Place(const int8_t* codes, int64_t start, int64_t block_size, int64_t rows, int64_t row,
           int8_t* block) {
  constexpr int kParts = 8 / kBits;
  constexpr int kWidth = Layout<kIsTurned>::kWidth;
  // Every group has a multiple of so many bytes.
  constexpr int kRun = 16;
  constexpr int kPiece = std::min(kRun, kWidth);
  for (int64_t i = 0; i < block_size / kParts; i += kRun) {
    const int64_t at = start / kParts + i;
    for (int part = 0; part < kParts; ++part) {
      int8_t own[kRun];
      for (int j = 0; j < kRun; ++j) own[j] = codes[(i + j) * kParts + part];
      int8_t* to = block + ((at / kWidth * kParts + part) * rows + row) * kWidth + at % kWidth;
      for (int j = 0; j < kRun; j += kPiece) {
        std::memcpy(to + j * kParts * rows, own + j, kPiece);
      }
    }
  }
}

template <typename T, int kBits, bool kIsTurned>
void RoundTile(const NBitsWork& work, const RowTile& tile) {
  const MatMulNBitsShape& shape = work.shape;
  const int64_t size = shape.block_size;
  const int64_t groups = shape.groups();
  const int64_t depth = Layout<kIsTurned>::Depth(work);
  float* scales = work.scales + tile.first * work.padded_groups();
  float* offsets = work.offsets + tile.first * work.padded_groups();
  for (int64_t row = 0; row < tile.rows; ++row) {
    const T* x = static_cast<const T*>(work.tensors.x) + (tile.first + row) * shape.depth;
    T last[kMostBlockSize] = {};
    std::copy(x + (groups - 1) * size, x + shape.depth, last);
    for (int64_t g = 0; g < groups; ++g) {
      Rounded rounded;
      Round(g + 1 < groups ? x + g * size : last, size, rounded);
      const int64_t start = g * size % depth;
      Place<kBits, kIsTurned>(rounded.codes, start, size, tile.rows, row,
                              Layout<kIsTurned>::BlockAt(work, tile, g * size - start));
      scales[g * tile.rows + row] = rounded.scale;
      offsets[g * tile.rows + row] = rounded.offset;
    }
  }
  const int64_t end = groups * tile.rows;
  std::fill(scales + end, scales + work.padded_groups() * tile.rows, 0.0f);
  std::fill(offsets + end, offsets + work.padded_groups() * tile.rows, 0.0f);
}

template <int kBits>
constexpr float kMiddleCode = kBits == 8 ? 128 : 8;
// What Codes takes off the codes.
template <int kBits>
constexpr float kCodesOffset = kBits == 8 ? kWholeCodesOffset : 0;

// Packed codes as float32.
template <int kBits>
void UnpackCodes(const uint8_t* packed, int64_t count, float* floats) {
  constexpr int kParts = 8 / kBits;
  constexpr int kMask = (1 << kBits) - 1;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) LoadCodes<kBits>(packed + i / kParts).Store(floats + i);
  for (; i < count; ++i) {
    floats[i] = static_cast<float>((packed[i / kParts] >> (i % kParts * kBits)) & kMask);
  }
}

// Zero points of a column's groups first ... first + count - 1; `first` is even.
template <int kBits>
void LoadZeroPoints(const NBitsWork& work, int64_t column, int64_t first, int64_t count,
                    float* zero_points) {
  const MatMulNBitsShape& shape = work.shape;
  const void* given = work.tensors.zero_points;
  switch (shape.zero_points) {
    case ZeroPoints::kMiddle:
      std::fill_n(zero_points, count, kMiddleCode<kBits>);
      return;
    case ZeroPoints::kScaleType:
      return LoadAll(shape.scale_type, given, column * shape.groups() + first, count, zero_points);
    case ZeroPoints::kPacked:
      break;
  }
  UnpackCodes<kBits>(
      static_cast<const uint8_t*>(given) + column * shape.zero_point_bytes() + first * kBits / 8,
      count, zero_points);
}

// Scales s of a column's groups, and -z s, which times the sum of a group's activations is what its
// zero point makes of y; zeros up to a whole vector.
template <int kBits>
void LoadScales(const NBitsWork& work, int64_t column, int64_t first, int64_t count, float* scales,
                float* shifts) {
  const int64_t padded = NBitsWork::Padded(count, kLanes);
  if (count < padded) {
    std::fill(scales + count, scales + padded, 0.0f);
    std::fill(shifts + count, shifts + padded, 0.0f);
  }
  LoadAll(work.shape.scale_type, work.tensors.scales, column * work.shape.groups() + first, count,
          scales);
  LoadZeroPoints<kBits>(work, column, first, count, shifts);
  const Vec offset = Vec::All(kCodesOffset<kBits>);
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
  Dots(const NBitsWork& work, int64_t column, int64_t last)
      : work_(work),
        ahead_((kColumns > 1 ? kColumns * work.shape.code_bytes() : 0) + kPrefetchBytes) {
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
      MakeScalesReady(first, count);
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
  void MakeScalesReady(int64_t first, int64_t count) {
    switch (work_.shape.scale_type) {
      case DataType::kFloat16:
        return MakeScalesReady<Float16>(first, count);
      case DataType::kBFloat16:
        return MakeScalesReady<BFloat16>(first, count);
      default:
        return MakeScalesReady<float>(first, count);
    }
  }

  // Products of scales of both sides; what zero points make of y goes to the sums at once.
  template <typename S>
  void MakeScalesReady(int64_t first, int64_t count) {
    for (int c = 0; c < kColumns; ++c) {
      const S* scales =
          static_cast<const S*>(work_.tensors.scales) + columns_[c] * work_.shape.groups() + first;
      const bool is_middle = work_.shape.zero_points == ZeroPoints::kMiddle;
      float zero_points[kSpanGroups];
      if (!is_middle) {
        std::fill_n(zero_points, kSpanGroups, 0.0f);
        LoadZeroPoints<kBits>(work_, columns_[c], first, count, zero_points);
      }
      for (int64_t i = 0; i < count; i += kLanes) {
        Prefetch(reinterpret_cast<const char*>(scales + i) + kPrefetchScaleBytes);
        const Vec scale = LoadFloats(scales + i, count - i);
        const Vec zero_point =
            is_middle ? Vec::All(kMiddleCode<kBits>) : Vec::Load(zero_points + i);
        const Vec shift = (Vec::All(kCodesOffset<kBits>) - zero_point) * scale;
        for (int r = 0; r < kRows; ++r) {
          const int64_t row = r * work_.padded_groups() + first + i;
          (scale * Vec::Load(work_.scales + row)).Store(scales_[c][r] + i);
          sums_[c][r] = Fma(shift, Vec::Load(work_.offsets + row), sums_[c][r]);
        }
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
      Bytes packed[kColumns];
      for (int c = 0; c < kColumns; ++c) {
        Prefetch(codes_[c] + at + ahead_);
        packed[c] = load(codes_[c] + at);
      }
      for (int r = 0; r < kRows; ++r) {
        for (int part = 0; part < kParts; ++part) {
          const Bytes activations = Bytes::Load(x + r * work_.padded_depth() + part * kVector);
          for (int c = 0; c < kColumns; ++c) {
            const Codes<kBits> codes(packed[c]);
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

  // Rows of W lie one behind another: so far past these are the next, and those are asked for. One
  // column alone is read from end to end, and what is asked for is soon its own.
  static constexpr int64_t kPrefetchBytes = 6144;
  static constexpr int64_t kPrefetchScaleBytes = 1024;

  const NBitsWork& work_;
  int64_t ahead_;
  int64_t columns_[kColumns];
  const uint8_t* codes_[kColumns];
  Vec sums_[kColumns][kRows];
  // Four are read where one is left.
  float scales_[kColumns][kRows][kSpanGroups + 4];
};

template <int kBits, int kBlockSize, int kRows, int kColumns = 2>
void DotColumns(const NBitsWork& work, int64_t first, int64_t last) {
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
  float scales[kSpanGroups][kPanelColumns];
  float shifts[kSpanGroups][kPanelColumns];
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
      codes_[n] = work.tensors.codes + columns_[n] * shape_.code_bytes();
    }
  }

  // Rows of y whose tiles are first ... last - 1.
  void Run(int64_t first, int64_t last) {
    const int64_t groups = shape_.groups();
    const int64_t most_groups = kPanelDepth / shape_.block_size;
    first_row_ = work_.TileAt(first).first;
    for (int64_t g = 0; g < groups; g += most_groups) {
      const int64_t count = std::min(most_groups, groups - g);
      if (g % kSpanGroups == 0) {
        UnpackScales(g, std::min(kSpanGroups, groups - g));
      }
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
    // The next block, or the first of the panel after this one.
    const int64_t next =
        start + bytes < shape_.code_bytes() ? bytes : kPanelColumns * shape_.code_bytes() - start;
    for (int64_t at = 0; at < whole; at += kVector) {
      UnpackVectors(start + at, at, next, [](const uint8_t* codes) { return Bytes::Load(codes); });
    }
    if (whole < bytes) {
      UnpackVectors(start + whole, whole, next,
                    [=](const uint8_t* codes) { return LoadFirst(codes, bytes - whole); });
    }
  }

  // `next` is how far away what will be unpacked after this lies.
  template <typename Load>
  void UnpackVectors(int64_t from, int64_t to, int64_t next, Load load) {
    for (int v = 0; v < kPanelVectors; ++v) {
      Bytes rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const uint8_t* codes = codes_[v * kLanes + i] + from;
        Prefetch(codes + next);
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

  void UnpackScales(int64_t first_group, int64_t groups) {
    for (int64_t n = 0; n < kPanelColumns; ++n) {
      float scales[kSpanGroups];
      float shifts[kSpanGroups];
      LoadScales<kBits>(work_, columns_[n], first_group, groups, scales, shifts);
      for (int64_t g = 0; g < groups; ++g) {
        panel_.scales[g][n] = scales[g];
        panel_.shifts[g][n] = shifts[g];
      }
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
    const int8_t* x = Layout<true>::BlockAt(work_, tile, first_group * shape_.block_size);
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
        const int64_t ready = (first_group + g) % kSpanGroups;
        const Vec scale = Vec::Load(panel_.scales[ready] + v * kLanes);
        const Vec shift = Vec::Load(panel_.shifts[ready] + v * kLanes);
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
  const uint8_t* codes_[kPanelColumns];
  Panel& panel_;
};

template <int kBits>
void MultiplyPanel(const NBitsWork& work, int64_t panel, void* memory) {
  constexpr int64_t kTiles = kPanelRows / kTileRows;
  PanelProduct<kBits> product(work, panel, *static_cast<Panel*>(memory));
  for (int64_t tile = 0; tile < work.tiles; tile += kTiles) {
    product.Run(tile, std::min(tile + kTiles, work.tiles));
  }
}

template <int kBits, bool kIsTurned>
auto RoundOf(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return RoundTile<Float16, kBits, kIsTurned>;
    case DataType::kBFloat16:
      return RoundTile<BFloat16, kBits, kIsTurned>;
    default:
      return RoundTile<float, kBits, kIsTurned>;
  }
}

// How many columns of one row are computed side by side. Four share what is loaded of x, which
// counts where groups are small, and hide each other's ends, which counts where rows are short. One
// reads memory in a single stream, which is the fastest where rows are long and take few
// instructions.
template <int kBits, int kBlockSize>
auto DotOf(const MatMulNBitsShape& shape) {
  constexpr int64_t kShortBytes = 1024;
  switch (shape.rows) {
    case 1:
      if constexpr (kBits == 8) {
        return DotColumns<kBits, kBlockSize, 1, 2>;
      } else if constexpr (kBlockSize < kMostBlockSize) {
        return DotColumns<kBits, kBlockSize, 1, 4>;
      } else {
        return shape.code_bytes() <= kShortBytes ? DotColumns<kBits, kBlockSize, 1, 4>
                                                 : DotColumns<kBits, kBlockSize, 1, 1>;
      }
    case 2:
      return DotColumns<kBits, kBlockSize, 2>;
    case 3:
      return DotColumns<kBits, kBlockSize, 3>;
    default:
      return DotColumns<kBits, kBlockSize, kMostDotRows>;
  }
}

template <int kBits>
NBitsKernels KernelsOf(const MatMulNBitsShape& shape) {
  NBitsKernels kernels = {};
  kernels.tile_rows = kTileRows;
  kernels.panel_columns = kPanelColumns;
  kernels.panel_bytes = sizeof(Panel);
  kernels.multiply = MultiplyPanel<kBits>;
  kernels.round = shape.rows > kMostDotRows ? RoundOf<kBits, true>(shape.data_type)
                                            : RoundOf<kBits, false>(shape.data_type);
  switch (shape.block_size) {
    case 32:
      kernels.dot = DotOf<kBits, 32>(shape);
      break;
    case 64:
      kernels.dot = DotOf<kBits, 64>(shape);
      break;
    default:
      kernels.dot = DotOf<kBits, 128>(shape);
  }
  return kernels;
}

}  // namespace

NBitsKernels NBitsKernelsOf(const MatMulNBitsShape& shape) {
  return shape.bits == 4 ? KernelsOf<4>(shape) : KernelsOf<8>(shape);
}

}  // namespace bamba::cpu::BAMBA_ISA
