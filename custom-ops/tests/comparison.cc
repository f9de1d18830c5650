#include "comparison.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <vector>

#include "elements.h"
#include "reference/mamba2_chunk_scan_reference.h"

namespace bamba::tests {
namespace {

// The worst difference of elements [outer, heads, inner] relative to the head's largest; infinite
// where one is NaN.
template <typename Actual, typename Expected>
double WorstOfHeads(int64_t outer, int64_t heads, int64_t inner, Actual actual, Expected expected) {
  double worst = 0;
  for (int64_t h = 0; h < heads; ++h) {
    double largest = 1e-6;
    double difference = 0;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        const int64_t at = (o * heads + h) * inner + i;
        largest = std::max(largest, std::fabs(static_cast<double>(expected(at))));
        const double off = std::fabs(static_cast<double>(actual(at)) - expected(at));
        difference = std::isnan(off) ? HUGE_VAL : std::max(difference, off);
      }
    }
    worst = std::max(worst, difference / largest);
  }
  return worst;
}

std::string NotZero(const Problem& actual) {
  const Mamba2Shape& shape = actual.shape();
  for (int64_t token = 0; token < shape.batch * shape.length; ++token) {
    for (int64_t i = 0; i < shape.inner() && !actual.IsReal(token); ++i) {
      if (ElementAt(actual.y.data(), shape.data_type, token * shape.inner() + i) != 0) {
        return "y of token " + std::to_string(token) + ", which is not real, is not zero; ";
      }
    }
  }
  return "";
}

// Rows without a token keep the recurrent state bit for bit.
std::string NotKept(const Problem& actual) {
  const Mamba2Shape& shape = actual.shape();
  const int64_t size = shape.inner() * shape.state_size;
  for (int64_t row = 0; row < shape.state_rows; ++row) {
    if (!actual.IsAdvanced(row) &&
        std::memcmp(&actual.present_recurrent_state[row * size],
                    &actual.past_recurrent_state[row * size], size * sizeof(float)) != 0) {
      return "the recurrent state of row " + std::to_string(row) + " is not kept; ";
    }
  }
  return "";
}

}  // namespace

double Tolerance(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return 2e-3;
    case DataType::kBFloat16:
      return 1e-2;
    default:
      return 1e-4;
  }
}

std::string Differences(const Problem& actual, const Problem& expected, double tolerance) {
  const Mamba2Shape& shape = expected.shape();
  std::ostringstream problems;
  const auto element = [&](const Problem& of) {
    return [&of](int64_t i) { return ElementAt(of.y.data(), of.shape().data_type, i); };
  };
  const auto state = [](const Problem& of) {
    return [&of](int64_t i) { return of.present_recurrent_state[i]; };
  };
  const double y = WorstOfHeads(shape.batch * shape.length, shape.num_heads, shape.head_dim,
                                element(actual), element(expected));
  const double recurrent =
      WorstOfHeads(shape.state_rows, shape.num_heads, shape.head_dim * shape.state_size,
                   state(actual), state(expected));
  if (!(y <= tolerance)) {
    problems << "y differs by " << y << "; ";
  }
  if (!(recurrent <= tolerance)) {
    problems << "present_recurrent_state differs by " << recurrent << "; ";
  }
  if (actual.present_conv_state != expected.present_conv_state) {
    problems << "present_conv_state differs; ";
  }
  return problems.str();
}

std::string Check(const Case& row, Implementation& implementation) {
  Problem actual(row, 1);
  Problem expected(row, 1);
  implementation.Run(actual.shape(), actual.Tensors());
  reference::Mamba2ChunkScan(expected.shape(), expected.Tensors());
  return Differences(actual, expected, Tolerance(row.shape.data_type)) + NotZero(actual) +
         NotKept(actual);
}

}  // namespace bamba::tests
