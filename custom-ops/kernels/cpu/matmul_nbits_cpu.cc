#include "cpu/matmul_nbits_cpu.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "cpu/matmul_nbits_kernels.h"

namespace bamba::cpu {
namespace {

// Products too few to wake other threads for: some microseconds' worth.
constexpr int64_t kWorthThreads = 256 * 1024;
// Where rows are few, a task is some lines of y and about so many bytes of W: some microseconds,
// since at the end one thread waits for the other's.
constexpr int64_t kTaskBytes = 64 * 1024;
constexpr int64_t kLineColumns = 16;

NBitsKernels KernelsFor(Isa isa, const MatMulNBitsShape& shape) {
  switch (isa) {
#if defined(BAMBA_HAS_AVX)
    case Isa::kAvx512Vnni:
      return avx512vnni::NBitsKernelsOf(shape);
    case Isa::kAvx512:
    case Isa::kAvx2:
      return avx2::NBitsKernelsOf(shape);
#endif
    default:
      return plain::NBitsKernelsOf(shape);
  }
}

int64_t Tasks(int64_t size, int64_t task) { return (size + task - 1) / task; }

int64_t TaskColumns(const MatMulNBitsShape& shape) {
  return std::max<int64_t>(1, kTaskBytes / shape.code_bytes() / kLineColumns) * kLineColumns;
}

// Memory of the thread that asks, which it keeps: the host's threads outlive a call.
void* ThreadMemory(size_t bytes) {
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  static thread_local std::vector<Line> lines;
  const size_t count = (bytes + sizeof(Line) - 1) / sizeof(Line);
  if (lines.size() < count) {
    lines.resize(count);
  }
  return lines.data();
}

// The scratch memory: float32, float32, int8.
void LayOut(void* workspace, NBitsWork& work) {
  const int64_t groups = work.shape.rows * work.padded_groups();
  work.scales = static_cast<float*>(workspace);
  work.offsets = work.scales + groups;
  work.codes = reinterpret_cast<int8_t*>(work.offsets + groups);
}

}  // namespace

size_t MatMulNBitsWorkspaceBytes(const MatMulNBitsShape& shape) {
  const MatMulNBitsTensors none;
  const NBitsWork work = {shape, none, 0, nullptr, nullptr, nullptr};
  const int64_t row =
      work.padded_groups() * 2 * static_cast<int64_t>(sizeof(float)) + work.padded_depth();
  return static_cast<size_t>(shape.rows * row);
}

void MatMulNBits(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors, void* workspace,
                 const ThreadPool& pool, Isa isa) {
  if (shape.rows == 0 || shape.columns == 0) {
    return;
  }
  const NBitsKernels kernels = KernelsFor(isa, shape);
  const bool is_few = shape.rows <= kMostDotRows;
  NBitsWork work = {shape,   tensors, Tasks(shape.rows, is_few ? 1 : kernels.tile_rows),
                    nullptr, nullptr, nullptr};
  LayOut(workspace, work);
  const bool is_small = shape.rows * shape.columns * shape.depth < kWorthThreads;
  const ThreadPool* threads = is_small ? nullptr : &pool;
  Run(is_few ? nullptr : threads, work.tiles,
      [&](int64_t tile) { kernels.round(work, work.TileAt(tile)); });
  if (is_few) {
    const int64_t columns = TaskColumns(shape);
    Run(threads, Tasks(shape.columns, columns), [&](int64_t task) {
      const int64_t first = task * columns;
      kernels.dot(work, first, std::min(first + columns, shape.columns));
    });
  } else {
    Run(threads, Tasks(shape.columns, kernels.panel_columns),
        [&](int64_t panel) { kernels.multiply(work, panel, ThreadMemory(kernels.panel_bytes)); });
  }
}

}  // namespace bamba::cpu
