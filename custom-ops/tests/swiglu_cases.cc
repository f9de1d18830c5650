#include "swiglu_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "guarded_elements.h"
#include "large.h"
#include "reference/swiglu_reference.h"

namespace bamba::tests {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16};
constexpr int64_t kWidths[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 100, 1023, 4096, 14336};
constexpr int64_t kRows[] = {0, 1, 2, 3, 70};
// Enough for several tasks of threads, of which most begin inside a row.
constexpr SwiGluShape kLong = {DataType::kFloat32, 1000, 100};

struct Row {
  SwiGluShape shape;
  // Elements that the tensors begin past a multiple of 64 bytes.
  int64_t offset = 0;
};

std::string Describe(const Row& row) {
  return std::string(NameOf(row.shape.data_type)) + ", " + std::to_string(row.shape.rows) +
         " rows of " + std::to_string(row.shape.width) +
         (row.offset == 0 ? "" : ", off by an element");
}

std::vector<Row> AllRows() {
  std::vector<Row> rows;
  for (DataType type : kTypes) {
    for (int64_t width : kWidths) {
      for (int64_t count : kRows) {
        rows.push_back({{type, count, width}, 0});
      }
      rows.push_back({{type, 3, width}, 1});
    }
    rows.push_back({{type, kLong.rows, kLong.width}, 0});
  }
  return rows;
}

// What a model's projections give, and now and then something far out.
void Fill(Elements& x, int64_t count, std::mt19937& random) {
  const float kOdd[] = {0.0f,
                        -0.0f,
                        1e-7f,
                        -1e-7f,
                        20.0f,
                        -20.0f,
                        90.0f,
                        -90.0f,
                        200.0f,
                        -200.0f,
                        3000.0f,
                        -3000.0f,
                        std::numeric_limits<float>::quiet_NaN()};
  std::normal_distribution<float> normal(0, 3);
  for (int64_t i = 0; i < count; ++i) {
    const bool is_odd = random() % 16 == 0;
    x.Set(i, is_odd ? kOdd[random() % std::size(kOdd)] : normal(random));
  }
}

// What is smaller may come out as anything that is.
constexpr double kNothing = 1e-30;

// A place of T, since a value between two of T may go either way; float32's sums may be off by
// more.
double Tolerance(DataType type, double value) {
  switch (type) {
    case DataType::kFloat16:
      return std::max(std::fabs(value) * 0x1p-10, 0x1p-24);
    case DataType::kBFloat16:
      return std::max(std::fabs(value) * 0x1p-7, kNothing);
    default:
      return std::max(std::fabs(value) * 2e-6, kNothing);
  }
}

std::string Differences(const Row& row, const Elements& x, const Elements& actual,
                        const Elements& expected) {
  const SwiGluShape& shape = row.shape;
  for (int64_t i = 0; i < shape.rows * shape.width; ++i) {
    const double wanted = expected.At(i);
    const double found = actual.At(i);
    const bool same = std::isnan(wanted) ? std::isnan(found)
                      : std::isinf(wanted)
                          ? wanted == found
                          : std::fabs(found - wanted) <= Tolerance(shape.data_type, wanted);
    if (!same) {
      const int64_t at = i / shape.width * 2 * shape.width + i % shape.width;
      char text[160];
      std::snprintf(text, sizeof text, "y[%lld] of gate %g and up %g: expected %.9g, found %.9g; ",
                    static_cast<long long>(i), x.At(at), x.At(at + shape.width), wanted, found);
      return text;
    }
  }
  return actual.MarginsAreUntouched() ? "" : "elements outside y were written; ";
}

std::string Check(const Row& row, const SwiGluFunction& implementation) {
  const SwiGluShape& shape = row.shape;
  const int64_t count = shape.rows * shape.width;
  std::mt19937 random(static_cast<uint32_t>(7 + count));
  Elements x(shape.data_type, 2 * count, row.offset);
  Fill(x, 2 * count, random);
  Elements actual(shape.data_type, count, row.offset);
  Elements expected(shape.data_type, count, row.offset);
  implementation(shape, {x.data(), actual.data()});
  reference::SwiGlu(shape, {x.data(), expected.data()});
  return Differences(row, x, actual, expected);
}

// Rows of zeros but for the first and the last, whose elements lie past 2^31.
std::string CheckLarge(const SwiGluFunction& implementation) {
  SwiGluShape shape = {DataType::kFloat16, 1, 14336};
  Elements row(shape.data_type, 2 * shape.width, 0);
  std::mt19937 random(3);
  Fill(row, 2 * shape.width, random);
  Elements alone(shape.data_type, shape.width, 0);
  implementation(shape, {row.data(), alone.data()});

  shape.rows = (int64_t{1} << 31) / (2 * shape.width) + 2;
  const auto reserve = [](int64_t bytes) {
    return std::unique_ptr<char, decltype(&std::free)>(
        static_cast<char*>(std::calloc(static_cast<size_t>(bytes), 1)), &std::free);
  };
  const auto x = reserve(shape.rows * row.size());
  const auto y = reserve(shape.rows * alone.size());
  if (x == nullptr || y == nullptr) {
    return "no memory was given; ";
  }
  for (int64_t at : {int64_t{0}, shape.rows - 1}) {
    std::memcpy(x.get() + at * row.size(), row.bytes(), static_cast<size_t>(row.size()));
  }
  implementation(shape, {x.get(), y.get()});
  for (int64_t at : {int64_t{0}, shape.rows - 1}) {
    if (std::memcmp(y.get() + at * alone.size(), alone.bytes(),
                    static_cast<size_t>(alone.size())) != 0) {
      return "row " + std::to_string(at) + " is not what it is alone; ";
    }
  }
  for (int64_t at : {int64_t{1}, shape.rows - 2}) {
    for (int64_t i = 0; i < alone.size(); ++i) {
      if (y.get()[at * alone.size() + i] != 0) {
        return "row " + std::to_string(at) + " of zeros does not give zeros; ";
      }
    }
  }
  return "";
}

}  // namespace

void RunSwiGlu(const std::string& name, const SwiGluFunction& implementation, bool large,
               Tally& tally) {
  for (const Row& row : AllRows()) {
    Report(name, "SwiGLU, " + Describe(row), Check(row, implementation), tally);
  }
  if (!large) {
    return;
  }
  if (HasMemoryForLarge()) {
    Report(name, "SwiGLU, more than 2^31 elements", CheckLarge(implementation), tally);
  } else {
    std::printf("skipped %s, SwiGLU of more than 2^31 elements: too little memory is free\n",
                name.c_str());
  }
}

}  // namespace bamba::tests
