#include "matmul_nbits_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "guarded_elements.h"
#include "reference/matmul_nbits_reference.h"

namespace bamba::tests {
namespace {

constexpr DataType kTypes[] = {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16};
constexpr ZeroPoints kZeroPoints[] = {ZeroPoints::kMiddle, ZeroPoints::kPacked,
                                      ZeroPoints::kScaleType};
constexpr int64_t kBits[] = {4, 8};
constexpr int64_t kBlockSizes[] = {32, 64, 128};

// What x holds.
enum class Activations {
  kExact,   // values that rounding to int8 keeps as they are: only float32's own rounding is left
  kNormal,  // what a model has
  kNotFinite,  // the same with a NaN in one row and an infinity in another
};

struct Row {
  MatMulNBitsShape shape;
  Activations activations;
};

struct Size {
  int64_t rows;
  int64_t columns;
  int64_t depth;
};

// Short of a group, of a vector, and more groups and elements than kernels take at a time.
constexpr int64_t kDepths[] = {1, 20, 32, 100, 224, 1064, 2117};
// On both sides of where kernels change with the number of rows, and columns no vector divides.
constexpr Size kSizes[] = {{1, 5, 0}, {2, 33, 0}, {3, 2, 0}, {4, 37, 0}, {7, 70, 0}};

std::string NameOf(Activations activations) {
  switch (activations) {
    case Activations::kExact:
      return "exact x";
    case Activations::kNormal:
      return "normal x";
    default:
      return "x that is not finite";
  }
}

std::string NameOf(ZeroPoints zero_points) {
  switch (zero_points) {
    case ZeroPoints::kMiddle:
      return "no zero points";
    case ZeroPoints::kPacked:
      return "packed zero points";
    default:
      return "zero points of S";
  }
}

std::string Describe(const Row& row) {
  const MatMulNBitsShape& shape = row.shape;
  const auto text = [](int64_t value) { return std::to_string(value); };
  return text(shape.bits) + " bits, groups of " + text(shape.block_size) + ", " +
         NameOf(shape.zero_points) + ", M " + text(shape.rows) + ", N " + text(shape.columns) +
         ", K " + text(shape.depth) + ", T " + tests::NameOf(shape.data_type) + ", S " +
         tests::NameOf(shape.scale_type) + ", " + NameOf(row.activations);
}

template <typename Add>
void ForEachFormat(Add add) {
  for (int64_t bits : kBits) {
    for (int64_t block_size : kBlockSizes) {
      for (ZeroPoints zero_points : kZeroPoints) {
        add(bits, block_size, zero_points);
      }
    }
  }
}

std::vector<Row> AllRows() {
  std::vector<Row> rows;
  const auto add = [&rows](int64_t bits, int64_t block_size, ZeroPoints zero_points, Size size,
                           Activations activations, DataType type, DataType scale_type) {
    rows.push_back(
        {{type, scale_type, zero_points, size.rows, size.columns, size.depth, bits, block_size},
         activations});
  };
  ForEachFormat([&](int64_t bits, int64_t block_size, ZeroPoints zero_points) {
    for (Size size : kSizes) {
      for (int64_t depth : kDepths) {
        size.depth = depth;
        for (Activations activations : {Activations::kExact, Activations::kNormal}) {
          add(bits, block_size, zero_points, size, activations, DataType::kFloat32,
              DataType::kFloat32);
        }
      }
    }
    for (DataType type : kTypes) {
      for (DataType scale_type : kTypes) {
        for (int64_t count : {1, 5}) {
          add(bits, block_size, zero_points, {count, 19, 200}, Activations::kExact, type,
              scale_type);
        }
      }
    }
    for (int64_t count : {2, 3, 12}) {
      add(bits, block_size, zero_points, {count, 35, 160}, Activations::kNotFinite,
          DataType::kFloat32, DataType::kFloat16);
      add(bits, block_size, zero_points, {count, 35, 160}, Activations::kNotFinite,
          DataType::kFloat16, DataType::kFloat16);
    }
    // What a device multiplies in tiles, whole and not, and what its threads take in turns.
    for (DataType type : {DataType::kFloat16, DataType::kBFloat16}) {
      for (const Size& size :
           {Size{1, 16, 8}, Size{1, 52, 5000}, Size{3, 20, 4096}, Size{8, 4, 224},
            Size{9, 72, 1064}, Size{16, 36, 136}, Size{17, 4, 520}, Size{33, 20, 264},
            Size{64, 16, 2048}, Size{65, 16, 128}, Size{2, 18, 256}, Size{4, 16, 14336},
            Size{24, 300, 4096}, Size{128, 132, 1536}, Size{129, 20, 264}}) {
        add(bits, block_size, zero_points, size, Activations::kNormal, type, type);
      }
    }
  });
  // Any number of rows, as many as take more than one turn over a panel, and none.
  for (int64_t count : {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,
                        13, 14, 15, 16, 17, 64, 65, 66, 67, 511, 512, 1030}) {
    add(4, 64, ZeroPoints::kPacked, {count, 40, 1100}, Activations::kExact, DataType::kFloat32,
        DataType::kFloat16);
  }
  // Enough for many tasks of threads.
  for (int64_t count : {1, 9}) {
    add(8, 32, ZeroPoints::kMiddle, {count, 1500, 190}, Activations::kExact, DataType::kFloat16,
        DataType::kBFloat16);
  }
  return rows;
}

// The most that two roundings to T change of a weight, to its magnitude.
double WeightPlace(DataType type) {
  return type == DataType::kFloat32 ? 0x1p-23 : type == DataType::kFloat16 ? 0x1p-10 : 0x1p-8;
}

// The tensors of a call.
class Call {
 public:
  explicit Call(const Row& row)
      : shape_(row.shape),
        random_(static_cast<uint32_t>(shape_.rows + 31 * shape_.columns + 977 * shape_.depth)),
        x_(shape_.data_type, shape_.rows * shape_.depth, 1),
        codes_(Bytes(shape_.columns * shape_.code_bytes())),
        scales_(shape_.scale_type, shape_.columns * shape_.groups(), 1),
        packed_zero_points_(Bytes(shape_.columns * shape_.zero_point_bytes())),
        zero_points_(shape_.scale_type, shape_.columns * shape_.groups(), 1) {
    FillX(row.activations);
    std::uniform_real_distribution<float> scale(-0.02f, 0.04f);
    std::uniform_real_distribution<float> zero_point(0, shape_.bits == 4 ? 15.0f : 255.0f);
    for (int64_t i = 0; i < shape_.columns * shape_.groups(); ++i) {
      scales_.Set(i, scale(random_));
      zero_points_.Set(i, zero_point(random_));
    }
  }

  const MatMulNBitsShape& shape() const { return shape_; }

  MatMulNBitsTensors Tensors(Elements& y) {
    const void* zero_points = nullptr;
    if (shape_.zero_points == ZeroPoints::kPacked) {
      zero_points = packed_zero_points_.data();
    } else if (shape_.zero_points == ZeroPoints::kScaleType) {
      zero_points = zero_points_.data();
    }
    return {x_.data(), codes_.data(), scales_.data(), zero_points, y.data()};
  }

  bool HasFiniteRow(int64_t row) const {
    for (int64_t k = 0; k < shape_.depth; ++k) {
      if (!std::isfinite(X(row, k))) {
        return false;
      }
    }
    return true;
  }

  // How far y may be from the twin's: what rounding activations or weights makes of it, the most of
  // float32's own rounding, and a place of T.
  double Tolerance(int64_t row, int64_t column, Activations activations, Rounding rounds,
                   double y) {
    const MatMulNBitsTensors tensors = Tensors(x_);
    double of_activations = 0;
    double of_weights = 0;
    double magnitude = 0;
    for (int64_t first = 0; first < shape_.depth; first += shape_.block_size) {
      const int64_t end = std::min(first + shape_.block_size, shape_.depth);
      double largest = 0;
      double weights = 0;
      for (int64_t k = first; k < end; ++k) {
        largest = std::max(largest, std::fabs(static_cast<double>(X(row, k))));
        const double weight = std::fabs(reference::Weight(shape_, tensors, column, k));
        weights += weight;
        of_weights += std::fabs(static_cast<double>(X(row, k))) *
                      (weight * WeightPlace(shape_.data_type) + 0x1p-24);
      }
      of_activations += largest / 254 * weights;
      const double scale = scales_.At(column * shape_.groups() + first / shape_.block_size);
      magnitude += largest * std::fabs(scale) * static_cast<double>(end - first);
    }
    magnitude *= shape_.bits == 4 ? 15 : 255;
    const double place = shape_.data_type == DataType::kFloat32   ? 0
                         : shape_.data_type == DataType::kFloat16 ? std::fabs(y) * 0x1p-10 + 0x1p-24
                                                                  : std::fabs(y) * 0x1p-7;
    const double rounding = rounds == Rounding::kWeights         ? of_weights
                            : activations == Activations::kExact ? 0
                                                                 : of_activations;
    return rounding + magnitude * 0x1p-20 + place;
  }

 private:
  float X(int64_t row, int64_t k) const { return x_.At(row * shape_.depth + k); }

  // Exactly as many as there are: a tool that watches memory sees what is read past them.
  std::vector<uint8_t> Bytes(int64_t count) {
    std::vector<uint8_t> bytes(static_cast<size_t>(count));
    for (uint8_t& byte : bytes) {
      byte = static_cast<uint8_t>(random_());
    }
    return bytes;
  }

  void FillX(Activations activations) {
    std::normal_distribution<float> normal(0, 2);
    for (int64_t i = 0; i < shape_.rows * shape_.depth; ++i) {
      x_.Set(i, activations == Activations::kExact ? Exact(i % shape_.depth) : normal(random_));
    }
    if (activations == Activations::kNotFinite) {
      x_.Set(shape_.depth / 2, std::numeric_limits<float>::quiet_NaN());
      x_.Set((shape_.rows - 1) * shape_.depth - 1, -std::numeric_limits<float>::infinity());
    }
  }

  // Whole numbers below 127 times a power of two, and 127 times it in each group; now and then a
  // group of zeros.
  float Exact(int64_t k) {
    const int64_t group = k / shape_.block_size;
    if (group % 5 == 3) {
      return 0;
    }
    const float value = k % shape_.block_size == 0
                            ? 127
                            : static_cast<float>(static_cast<int>(random_() % 255)) - 127;
    return std::ldexp(random_() % 2 == 0 ? value : -value, static_cast<int>(group % 4) - 6);
  }

  MatMulNBitsShape shape_;
  std::mt19937 random_;
  Elements x_;
  std::vector<uint8_t> codes_;
  Elements scales_;
  std::vector<uint8_t> packed_zero_points_;
  Elements zero_points_;
};

std::string Differences(Call& call, Activations activations, Rounding rounding,
                        const Elements& actual, const Elements& expected) {
  const int64_t columns = call.shape().columns;
  for (int64_t row = 0; row < call.shape().rows; ++row) {
    const bool is_finite = call.HasFiniteRow(row);
    for (int64_t n = 0; n < columns; ++n) {
      const double wanted = expected.At(row * columns + n);
      const double found = actual.At(row * columns + n);
      const bool same = is_finite ? std::fabs(found - wanted) <=
                                        call.Tolerance(row, n, activations, rounding, wanted)
                                  : !std::isfinite(found);
      if (!same) {
        char text[160];
        std::snprintf(text, sizeof text, "y[%lld, %lld]: expected %.9g, found %.9g; ",
                      static_cast<long long>(row), static_cast<long long>(n), wanted, found);
        return text;
      }
    }
  }
  return actual.MarginsAreUntouched() ? "" : "elements outside y were written; ";
}

std::string Check(const Row& row, const MatMulNBitsFunction& implementation, Rounding rounding) {
  Call call(row);
  const int64_t count = row.shape.rows * row.shape.columns;
  Elements actual(row.shape.data_type, count, 1);
  Elements expected(row.shape.data_type, count, 1);
  implementation(row.shape, call.Tensors(actual));
  reference::MatMulNBits(row.shape, call.Tensors(expected));
  return Differences(call, row.activations, rounding, actual, expected);
}

}  // namespace

void RunMatMulNBits(const std::string& name, const MatMulNBitsFunction& implementation,
                    Rounding rounding, Tally& tally,
                    const std::function<bool(const MatMulNBitsShape&)>& takes) {
  for (const Row& row : AllRows()) {
    if (takes(row.shape)) {
      Report(name, "MatMulNBits, " + Describe(row), Check(row, implementation, rounding), tally);
    }
  }
}

}  // namespace bamba::tests
