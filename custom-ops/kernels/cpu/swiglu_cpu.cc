#include "cpu/swiglu_cpu.h"

#include <algorithm>

#include "cpu/swiglu_kernels.h"

namespace bamba::cpu {
namespace {

// Elements of y that are one task: some microseconds. What is not more than two of them is not
// worth waking other threads for.
constexpr int64_t kTaskElements = 16 * 1024;

Gate GateFor(Isa isa, DataType type) {
  switch (isa) {
#if defined(BAMBA_HAS_AVX)
    case Isa::kAvx512Vnni:
    case Isa::kAvx512:
      return avx512::GateOf(type);
    case Isa::kAvx2:
      return avx2::GateOf(type);
#endif
    default:
      return plain::GateOf(type);
  }
}

}  // namespace

void SwiGlu(const SwiGluShape& shape, const SwiGluTensors& tensors, const ThreadPool& pool,
            Isa isa) {
  const int64_t width = shape.width;
  const int64_t elements = shape.rows * width;
  const int64_t bytes = ElementBytes(shape.data_type);
  const char* x = static_cast<const char*>(tensors.x);
  char* y = static_cast<char*>(tensors.y);
  const Gate gate = GateFor(isa, shape.data_type);
  const ThreadPool* threads = elements > 2 * kTaskElements ? &pool : nullptr;
  const int64_t tasks = (elements + kTaskElements - 1) / kTaskElements;
  Run(threads, tasks, [&](int64_t task) {
    const int64_t end = std::min((task + 1) * kTaskElements, elements);
    for (int64_t at = task * kTaskElements; at < end;) {
      const int64_t row = at / width;
      const int64_t count = std::min(end, (row + 1) * width) - at;
      const char* from = x + (row * width + at) * bytes;
      gate(from, from + width * bytes, y + at * bytes, count);
      at += count;
    }
  });
}

}  // namespace bamba::cpu
