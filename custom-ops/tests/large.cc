#include "large.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if defined(__unix__)
#include <unistd.h>
#endif

#include "cases.h"

namespace bamba::tests {
namespace {

constexpr int64_t kRealTokens = 5;
constexpr int64_t kRows = 4;
// Bytes that are written; what is only reserved takes no memory.
constexpr int64_t kTouchedBytes = int64_t{6} << 30;

// Zeroed memory that takes up room only where it is written.
struct Free {
  void operator()(char* memory) const { std::free(memory); }
};
using Zeros = std::unique_ptr<char, Free>;

Zeros Reserve(int64_t bytes) {
  return Zeros(static_cast<char*>(std::calloc(static_cast<size_t>(bytes), 1)));
}

}  // namespace

bool HasMemoryForLarge() {
#if defined(__unix__)
  return static_cast<int64_t>(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE) > kTouchedBytes;
#else
  return false;
#endif
}

std::string CheckLarge(Implementation& implementation) {
  // float16 for half the bytes.
  const std::vector<Case> bases = BaseCases();
  Case row = *std::find_if(bases.begin(), bases.end(), [](const Case& base) {
    return base.shape.data_type == DataType::kFloat16;
  });
  SetRows(row, {kRealTokens}, kRealTokens);
  Problem alone(row, 1);
  implementation.Run(alone.shape(), alone.Tensors());

  // As long rows as it takes for the last to begin past 2^31 elements.
  Mamba2Shape shape = alone.shape();
  shape.batch = shape.num_sequences = shape.state_rows = kRows;
  shape.length = (int64_t{1} << 31) / ((kRows - 1) * shape.projected()) + 1;
  const int64_t row_bytes = shape.length * shape.projected() * alone.element_bytes();
  const int64_t y_row_bytes = shape.length * shape.inner() * alone.element_bytes();
  const Zeros zxbcdt = Reserve(kRows * row_bytes);
  const Zeros y = Reserve(kRows * y_row_bytes);
  if (zxbcdt == nullptr || y == nullptr) {
    return "no memory was given; ";
  }
  // The first row and the last are the row alone; those between have no token.
  const std::vector<int32_t> seq_lens = {kRealTokens, 0, 0, kRealTokens};
  const auto repeat = [](const auto& values) {
    auto repeated = values;
    for (int64_t i = 1; i < kRows; ++i) {
      repeated.insert(repeated.end(), values.begin(), values.end());
    }
    return repeated;
  };
  std::copy(alone.zxbcdt.begin(), alone.zxbcdt.end(), zxbcdt.get());
  std::copy(alone.zxbcdt.begin(), alone.zxbcdt.end(), zxbcdt.get() + (kRows - 1) * row_bytes);
  std::vector<char> conv = repeat(alone.past_conv_state);
  std::vector<float> recurrent = repeat(alone.past_recurrent_state);
  Mamba2Tensors tensors = alone.Tensors();
  tensors.zxbcdt = zxbcdt.get();
  tensors.y = y.get();
  tensors.seq_lens = seq_lens.data();
  tensors.past_conv_state = tensors.present_conv_state = conv.data();
  tensors.past_recurrent_state = tensors.present_recurrent_state = recurrent.data();
  implementation.Run(shape, tensors);

  std::string problems;
  for (int64_t i : {int64_t{0}, kRows - 1}) {
    if (std::memcmp(y.get() + i * y_row_bytes, alone.y.data(), alone.y.size()) != 0) {
      problems += "y of row " + std::to_string(i) + " is not that of the row alone; ";
    }
    if (!std::equal(alone.present_recurrent_state.begin(), alone.present_recurrent_state.end(),
                    recurrent.begin() + i * alone.present_recurrent_state.size())) {
      problems += "the state of row " + std::to_string(i) + " is not that of the row alone; ";
    }
  }
  const char* const end = y.get() + kRows * y_row_bytes;
  const char* const after = y.get() + (kRows - 1) * y_row_bytes + alone.y.size();
  if (std::any_of(after, end, [](char byte) { return byte != 0; })) {
    problems += "y past the last row's tokens is not zero; ";
  }
  return problems;
}

}  // namespace bamba::tests
