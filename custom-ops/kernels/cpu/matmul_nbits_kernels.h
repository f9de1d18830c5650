// The inner loops of the processor's MatMulNBits, compiled for every instruction set.
//
// Rows of x are rounded to int8 group by group and laid out in tiles, of one row each where rows
// are few, whose dot products run along K straight from the packed codes; else of some rows that
// are multiplied with panels: the codes of some columns of y (rows of W), unpacked and turned so
// that columns lie along a vector's lanes.

#ifndef BAMBA_KERNELS_CPU_MATMUL_NBITS_KERNELS_H_
#define BAMBA_KERNELS_CPU_MATMUL_NBITS_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "matmul_nbits.h"

namespace bamba::cpu {

// A multiple of every block size.
constexpr int64_t kMostBlockSize = 128;
// A multiple of every vector's lanes.
constexpr int64_t kMostLanes = 16;

// Neighbouring rows of x.
struct RowTile {
  int64_t first;
  int64_t rows;
};

// A call: its operands, and x as its tiles have it.
struct NBitsWork {
  const MatMulNBitsShape& shape;
  const MatMulNBitsTensors& tensors;
  int64_t tiles;   // of as near as may be to equally many rows
  int8_t* codes;   // rounded activations, [rows, padded_depth]
  float* scales;   // of their groups, [rows, padded_groups]
  float* offsets;  // scale times sum of the group's rounded activations, [rows, padded_groups]

  int64_t padded_depth() const { return Padded(shape.depth, kMostBlockSize); }
  int64_t padded_groups() const { return Padded(shape.groups(), kMostLanes); }

  RowTile TileAt(int64_t index) const {
    const int64_t first = shape.rows * index / tiles;
    return {first, shape.rows * (index + 1) / tiles - first};
  }

  static int64_t Padded(int64_t size, int64_t multiple) {
    return (size + multiple - 1) / multiple * multiple;
  }
};

struct NBitsKernels {
  // The most rows of a tile, and the columns and bytes of a panel.
  int64_t tile_rows;
  int64_t panel_columns;
  size_t panel_bytes;
  // Rounds the rows of a tile.
  void (*round)(const NBitsWork& work, const RowTile& tile);
  // y of all rows, where tiles have one, in columns first ... last - 1.
  void (*dot)(const NBitsWork& work, int64_t first, int64_t last);
  // y of all rows in the columns of a panel, for which there is memory in whole lines.
  void (*multiply)(const NBitsWork& work, int64_t panel, void* memory);
};

// Rows that are at most so many are not worth turning codes for.
constexpr int64_t kMostDotRows = 4;

namespace plain {
NBitsKernels NBitsKernelsOf(const MatMulNBitsShape& shape);
}
namespace avx2 {
NBitsKernels NBitsKernelsOf(const MatMulNBitsShape& shape);
}
namespace avx512vnni {
NBitsKernels NBitsKernelsOf(const MatMulNBitsShape& shape);
}

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_MATMUL_NBITS_KERNELS_H_
