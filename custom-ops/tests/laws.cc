#include "laws.h"

#include <algorithm>

namespace bamba::tests {
namespace {

void RunOn(Implementation& implementation, Problem& problem) {
  implementation.Run(problem.shape(), problem.Tensors());
}

// A row's tokens from a position on, as a problem of their own that starts from states of `states`'
// row.
Problem Piece(const Problem& whole, int64_t row, int64_t start, int64_t count,
              const Problem* states, int64_t state_row) {
  Case piece;
  piece.shape = whole.shape();
  SetRows(piece, {static_cast<int32_t>(count)}, count);
  Problem problem(piece, 1);
  const Mamba2Shape& shape = whole.shape();
  const int64_t token = shape.projected() * whole.element_bytes();
  std::copy_n(whole.zxbcdt.begin() + (row * shape.length + start) * token, count * token,
              problem.zxbcdt.begin());
  problem.conv_weight = whole.conv_weight;
  problem.conv_bias = whole.conv_bias;
  problem.a_log = whole.a_log;
  problem.d = whole.d;
  problem.dt_bias = whole.dt_bias;
  problem.norm_weight = whole.norm_weight;
  const auto& conv = states == nullptr ? whole.past_conv_state : states->present_conv_state;
  const auto& recurrent =
      states == nullptr ? whole.past_recurrent_state : states->present_recurrent_state;
  const size_t conv_bytes = problem.past_conv_state.size();
  const size_t state_size = problem.past_recurrent_state.size();
  std::copy_n(conv.begin() + state_row * conv_bytes, conv_bytes, problem.past_conv_state.begin());
  std::copy_n(recurrent.begin() + state_row * state_size, state_size,
              problem.past_recurrent_state.begin());
  return problem;
}

// Puts a piece's outputs where the whole has them.
void Place(const Problem& piece, Problem& whole, int64_t row, int64_t start, int64_t state_row) {
  const Mamba2Shape& shape = whole.shape();
  const int64_t token = shape.inner() * whole.element_bytes();
  std::copy(piece.y.begin(), piece.y.end(), whole.y.begin() + (row * shape.length + start) * token);
  std::copy(piece.present_conv_state.begin(), piece.present_conv_state.end(),
            whole.present_conv_state.begin() + state_row * piece.present_conv_state.size());
  std::copy(
      piece.present_recurrent_state.begin(), piece.present_recurrent_state.end(),
      whole.present_recurrent_state.begin() + state_row * piece.present_recurrent_state.size());
}

std::string ChunkSizeDoesNotMatter(Case row, Implementation& implementation) {
  Problem first(row, 1);
  RunOn(implementation, first);
  row.shape.chunk_size = 16;
  Problem second(row, 1);
  RunOn(implementation, second);
  return Differences(second, first, Tolerance(row.shape.data_type));
}

std::string PrefillIsSteps(Case row, Implementation& implementation) {
  SetRows(row, {40}, 40);
  Problem prefill(row, 1);
  RunOn(implementation, prefill);
  Problem steps(row, 1);
  for (int64_t t = 0; t < row.shape.length; ++t) {
    Problem step = Piece(prefill, 0, t, 1, t == 0 ? nullptr : &steps, 0);
    RunOn(implementation, step);
    Place(step, steps, 0, t, 0);
  }
  return Differences(prefill, steps, Tolerance(row.shape.data_type));
}

std::string BatchIsRowsAlone(Case row, Implementation& implementation) {
  SetRows(row, {33, 50, 1}, 50);
  Problem batch(row, 1);
  RunOn(implementation, batch);
  Problem alone(row, 1);
  std::fill(alone.y.begin(), alone.y.end(), 0);
  for (int64_t b = 0; b < row.shape.batch; ++b) {
    Problem piece = Piece(batch, b, 0, row.seq_lens[b], nullptr, b);
    RunOn(implementation, piece);
    Place(piece, alone, b, 0, b);
  }
  return Differences(batch, alone, Tolerance(row.shape.data_type));
}

std::string PackedIsRowsAlone(Case row, Implementation& implementation) {
  SetPacked(row, {33, 1, 50}, 84);
  Problem packed(row, 1);
  RunOn(implementation, packed);
  Problem alone(row, 1);
  for (int64_t s = 0; s < row.shape.num_sequences; ++s) {
    const int64_t start = row.cu_seqlens[s];
    Problem piece = Piece(packed, 0, start, row.cu_seqlens[s + 1] - start, nullptr, s);
    RunOn(implementation, piece);
    Place(piece, alone, 0, start, s);
  }
  return Differences(packed, alone, Tolerance(row.shape.data_type));
}

std::string StepPastTheLengthChangesNothing(Case row, Implementation& implementation) {
  SetRows(row, {0, 0}, 1);
  Problem step(row, 1);
  RunOn(implementation, step);
  Problem kept(row, 1);
  kept.present_conv_state = kept.past_conv_state;
  kept.present_recurrent_state = kept.past_recurrent_state;
  std::fill(kept.y.begin(), kept.y.end(), 0);
  return Differences(step, kept, 0);
}

}  // namespace

std::vector<Law> AllLaws() {
  return {
      {"the chunk size does not matter", ChunkSizeDoesNotMatter},
      {"a prefill is its steps", PrefillIsSteps},
      {"a batch is its rows alone", BatchIsRowsAlone},
      {"packed sequences are rows alone", PackedIsRowsAlone},
      {"a step past the length changes nothing", StepPastTheLengthChangesNothing},
  };
}

}  // namespace bamba::tests
