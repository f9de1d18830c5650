// The table that every implementation of the operator is held to: base cases, and rows that change
// one thing in them.

#ifndef BAMBA_TESTS_CASES_H_
#define BAMBA_TESTS_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "mamba2_chunk_scan.h"

namespace bamba::tests {

// A row of the table.
struct Case {
  std::string name;
  Mamba2Shape shape;
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> cu_seqlens;     // empty unless packed
  std::vector<int32_t> state_indices;  // empty: sequence s owns row s
  bool in_place = false;               // present is past
  bool has_conv_bias = true;
};

// What the table changes one thing in: heads of an odd size and Bamba's heads, for which there are
// kernels of their own, each in the three types.
std::vector<Case> BaseCases();

// All rows.
std::vector<Case> AllCases();

// Sets B and everything that goes with it.
void SetRows(Case& row, std::vector<int32_t> seq_lens, int64_t length);

// Makes the case packed.
void SetPacked(Case& row, const std::vector<int32_t>& lengths, int64_t length);

// A call's tensors in host memory. Outputs are filled with NaN, and so are the tokens that are not
// real.
class Problem {
 public:
  Problem(const Case& row, uint32_t seed);

  // Pointers into this problem; with a row in place the past is where the present is.
  Mamba2Tensors Tensors();

  // Whether a token of [B * L] is real, and whether a row of the states is one that a sequence with
  // tokens owns.
  bool IsReal(int64_t token) const;
  bool IsAdvanced(int64_t state_row) const;

  const Mamba2Shape& shape() const { return shape_; }
  int64_t element_bytes() const { return shape_.data_type == DataType::kFloat32 ? 4 : 2; }

  Mamba2Shape shape_;
  bool in_place_;
  std::vector<char> zxbcdt, past_conv_state, y, present_conv_state;
  std::vector<float> conv_weight, conv_bias, a_log, d, dt_bias, norm_weight;
  std::vector<float> past_recurrent_state, present_recurrent_state;
  std::vector<int32_t> seq_lens, cu_seqlens, state_indices;
};

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_CASES_H_
