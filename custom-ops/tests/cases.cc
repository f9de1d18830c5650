#include "cases.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "elements.h"
#include "sequences.h"

namespace bamba::tests {
namespace {

struct Row {
  std::string name;
  std::function<void(Case&)> change;
};

std::vector<Row> LengthRows() {
  std::vector<Row> rows;
  for (int length : {1, 2, 3, 4, 5, 63, 64, 65, 255, 256, 257, 1000}) {
    rows.push_back({"length " + std::to_string(length), [length](Case& row) {
                      SetRows(row, {length, std::max(0, length - 2)}, length);
                    }});
  }
  rows.push_back({"length 8192", [](Case& row) { SetRows(row, {8192}, 8192); }});
  rows.push_back({"no tokens", [](Case& row) { SetRows(row, {0, 0}, 0); }});
  rows.push_back({"rows from none to all", [](Case& row) { SetRows(row, {0, 1, 40, 41, 2}, 41); }});
  rows.push_back({"step, rows with and without a token", [](Case& row) {
                    SetRows(row, {1, 0, 1}, 1);
                  }});
  rows.push_back({"one row", [](Case& row) { SetRows(row, {70}, 70); }});
  rows.push_back({"three rows", [](Case& row) { SetRows(row, {70, 3, 64}, 70); }});
  rows.push_back({"64 rows", [](Case& row) { SetRows(row, std::vector<int32_t>(64, 5), 5); }});
  return rows;
}

std::vector<Row> SizeRows() {
  std::vector<Row> rows;
  for (int size : {16, 17, 33, 64, 65, 128}) {
    rows.push_back({"head_dim " + std::to_string(size), [size](Case& row) {
                      row.shape.head_dim = size;
                      row.shape.norm_group_size = row.shape.inner();
                    }});
  }
  for (int size : {16, 19, 100, 128, 256}) {
    rows.push_back(
        {"state_size " + std::to_string(size), [size](Case& row) { row.shape.state_size = size; }});
  }
  for (int width : {6, 9}) {
    rows.push_back({"conv_width " + std::to_string(width),
                    [width](Case& row) { row.shape.conv_width = width; }});
  }
  return rows;
}

std::vector<Row> OtherRows() {
  std::vector<Row> rows;
  for (int groups : {1, 2, 8}) {
    rows.push_back({"n_groups " + std::to_string(groups),
                    [groups](Case& row) { row.shape.n_groups = groups; }});
  }
  for (int width : {2, 3, 4}) {
    rows.push_back({"conv_width " + std::to_string(width),
                    [width](Case& row) { row.shape.conv_width = width; }});
  }
  rows.push_back(
      {"norm of a head each", [](Case& row) { row.shape.norm_group_size = row.shape.head_dim; }});
  rows.push_back(
      {"norm of an eighth", [](Case& row) { row.shape.norm_group_size = row.shape.inner() / 8; }});
  rows.push_back({"no conv_bias", [](Case& row) { row.has_conv_bias = false; }});
  rows.push_back({"dt limits", [](Case& row) {
                    row.shape.dt_min = 0.01f;
                    row.shape.dt_max = 0.05f;
                  }});
  rows.push_back({"in place", [](Case& row) { row.in_place = true; }});
  rows.push_back({"step in place", [](Case& row) {
                    SetRows(row, {1, 1, 0}, 1);
                    row.in_place = true;
                  }});
  rows.push_back({"step, 40 heads", [](Case& row) {
                    row.shape.num_heads = 40;
                    row.shape.norm_group_size = row.shape.inner();
                    SetRows(row, {1, 0, 1}, 1);
                  }});
  rows.push_back({"step, norm of a head each", [](Case& row) {
                    row.shape.norm_group_size = row.shape.head_dim;
                    SetRows(row, {1, 0, 1}, 1);
                  }});
  return rows;
}

std::vector<Row> PackedRows() {
  const auto scatter = [](Case& row, int64_t state_rows) {
    row.shape.state_rows = state_rows;
    row.state_indices.resize(row.shape.num_sequences);
    std::iota(row.state_indices.rbegin(), row.state_indices.rend(), 1);
  };
  return {
      {"packed, one sequence", [](Case& row) { SetPacked(row, {70}, 70); }},
      {"packed, empty ones",
       [](Case& row) {
         SetPacked(row, {0, 5, 0, 65, 64, 0}, 140);
       }},
      {"packed, own rows",
       [scatter](Case& row) {
         SetPacked(row, {3, 0, 33, 100}, 137);
         scatter(row, 9);
       }},
      {"packed, own rows in place",
       [scatter](Case& row) {
         SetPacked(row, {1, 64, 1, 2}, 68);
         scatter(row, 6);
         row.in_place = true;
       }},
      {"packed, 64 sequences",
       [scatter](Case& row) {
         std::vector<int32_t> lengths(64);
         std::iota(lengths.begin(), lengths.end(), 0);
         SetPacked(row, lengths, 2020);
         scatter(row, 65);
       }},
  };
}

}  // namespace

void SetRows(Case& row, std::vector<int32_t> seq_lens, int64_t length) {
  row.shape.batch = static_cast<int64_t>(seq_lens.size());
  row.shape.length = length;
  row.shape.num_sequences = row.shape.batch;
  row.shape.state_rows = row.shape.batch;
  row.seq_lens = std::move(seq_lens);
}

void SetPacked(Case& row, const std::vector<int32_t>& lengths, int64_t length) {
  SetRows(row, {static_cast<int32_t>(length)}, length);
  row.cu_seqlens = {0};
  for (int32_t each : lengths) {
    row.cu_seqlens.push_back(row.cu_seqlens.back() + each);
  }
  row.shape.num_sequences = static_cast<int64_t>(lengths.size());
  row.shape.state_rows = row.shape.num_sequences;
}

std::vector<Case> BaseCases() {
  std::vector<Case> cases;
  for (DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16}) {
    Case row;
    Mamba2Shape& shape = row.shape;
    shape.data_type = type;
    shape.num_heads = 8;
    shape.head_dim = 24;
    shape.state_size = 40;
    shape.n_groups = 2;
    shape.conv_width = 4;
    shape.chunk_size = 256;
    shape.norm_group_size = shape.inner();
    shape.epsilon = 1e-5f;
    shape.dt_min = 0;
    shape.dt_max = std::numeric_limits<float>::infinity();
    SetRows(row, {70, 37}, 70);
    row.name = NameOf(type);
    cases.push_back(row);
    shape.head_dim = 64;
    shape.state_size = 128;
    shape.norm_group_size = shape.inner();
    row.name += ", Bamba's heads";
    cases.push_back(row);
  }
  return cases;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const Case& base : BaseCases()) {
    cases.push_back(base);
    for (const auto& rows : {LengthRows(), SizeRows(), OtherRows(), PackedRows()}) {
      for (const Row& row : rows) {
        Case it = base;
        row.change(it);
        it.name += ", " + row.name;
        cases.push_back(std::move(it));
      }
    }
  }
  return cases;
}

namespace {

// Random numbers, normal and uniform in 0 … 1. The normal ones are drawn from a table, since large
// problems need half a billion.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : random_(seed), normals_(1 << 14) {
    std::mt19937 table(seed);
    std::normal_distribution<float> normal;
    std::generate(normals_.begin(), normals_.end(), [&] { return normal(table); });
  }

  float Normal() { return normals_[random_() >> 17]; }
  float Uniform() { return std::uniform_real_distribution<float>()(random_); }

 private:
  std::minstd_rand random_;
  std::vector<float> normals_;
};

}  // namespace

Problem::Problem(const Case& row, uint32_t seed)
    : shape_(row.shape),
      in_place_(row.in_place),
      seq_lens(row.seq_lens),
      cu_seqlens(row.cu_seqlens),
      state_indices(row.state_indices) {
  Numbers numbers(seed);
  const auto fill = [&](std::vector<float>& values, int64_t size, auto next) {
    values.resize(size);
    std::generate(values.begin(), values.end(), next);
  };
  const auto fill_elements = [&](std::vector<char>& buffer, int64_t size, auto next) {
    buffer.resize(size * element_bytes());
    for (int64_t i = 0; i < size; ++i) {
      StoreElement(buffer.data(), shape_.data_type, i, next(i));
    }
  };
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const int64_t tokens = shape_.batch * shape_.length;
  const int64_t conv_states = shape_.state_rows * shape_.conv_channels() * (shape_.conv_width - 1);
  const int64_t states = shape_.state_rows * shape_.inner() * shape_.state_size;
  fill_elements(zxbcdt, tokens * shape_.projected(), [&](int64_t i) {
    return IsReal(i / shape_.projected()) ? numbers.Normal() : kNaN;
  });
  fill(conv_weight, shape_.conv_channels() * shape_.conv_width,
       [&] { return 0.4f * numbers.Normal(); });
  fill(conv_bias, shape_.conv_channels(),
       [&] { return row.has_conv_bias ? 0.2f * numbers.Normal() : 0.0f; });
  fill(a_log, shape_.num_heads, [&] { return std::log(1.0f + 15.0f * numbers.Uniform()); });
  fill(d, shape_.num_heads, [&] { return numbers.Normal(); });
  fill(dt_bias, shape_.num_heads, [&] { return numbers.Normal() - 4.0f; });
  fill(norm_weight, shape_.inner(), [&] { return 1.0f + 0.3f * numbers.Normal(); });
  fill_elements(past_conv_state, conv_states, [&](int64_t) { return numbers.Normal(); });
  fill(past_recurrent_state, states, [&] { return 0.3f * numbers.Normal(); });
  fill_elements(y, tokens * shape_.inner(), [](int64_t) { return kNaN; });
  present_conv_state = past_conv_state;
  present_recurrent_state = past_recurrent_state;
  if (!in_place_) {
    fill_elements(present_conv_state, conv_states, [](int64_t) { return kNaN; });
    std::fill(present_recurrent_state.begin(), present_recurrent_state.end(), kNaN);
  }
}

Mamba2Tensors Problem::Tensors() {
  Mamba2Tensors tensors;
  tensors.zxbcdt = zxbcdt.data();
  tensors.conv_weight = conv_weight.data();
  tensors.conv_bias = conv_bias.data();
  tensors.a_log = a_log.data();
  tensors.d = d.data();
  tensors.dt_bias = dt_bias.data();
  tensors.norm_weight = norm_weight.data();
  tensors.past_conv_state = (in_place_ ? present_conv_state : past_conv_state).data();
  tensors.past_recurrent_state =
      (in_place_ ? present_recurrent_state : past_recurrent_state).data();
  tensors.seq_lens = seq_lens.data();
  tensors.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
  tensors.state_indices = state_indices.empty() ? nullptr : state_indices.data();
  tensors.y = y.data();
  tensors.present_conv_state = present_conv_state.data();
  tensors.present_recurrent_state = present_recurrent_state.data();
  return tensors;
}

bool Problem::IsReal(int64_t token) const {
  return cu_seqlens.empty() ? token % shape_.length < seq_lens[token / shape_.length]
                            : token < cu_seqlens.back();
}

bool Problem::IsAdvanced(int64_t state_row) const {
  Mamba2Tensors lengths;
  lengths.seq_lens = seq_lens.data();
  lengths.cu_seqlens = cu_seqlens.empty() ? nullptr : cu_seqlens.data();
  lengths.state_indices = state_indices.empty() ? nullptr : state_indices.data();
  for (int64_t s = 0; s < shape_.num_sequences; ++s) {
    const Sequence sequence = SequenceAt(shape_, lengths, s);
    if (sequence.state_row == state_row) {
      return sequence.length > 0;
    }
  }
  return false;
}

}  // namespace bamba::tests
