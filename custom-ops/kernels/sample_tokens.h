// Choosing each row's next token on a device, as TokenSampler of Bamba.Onnx does on the host: its
// remarks define the choice. Here are temperature, top-k, top-p, min-p and the draw; what looks at
// earlier tokens, biases and typical sampling stay on the host.
//
// The structs are plain C: C# lays them out alike.

#ifndef BAMBA_KERNELS_SAMPLE_TOKENS_H_
#define BAMBA_KERNELS_SAMPLE_TOKENS_H_

#include <cstdint>

// How a row's token is chosen, and when the row ends.
struct BambaSamplingRow {
  double temperature = 1;  // at least 0; 0 takes the highest score
  double top_p = 1;        // in (0, 1]; 1 for all
  double min_p = 0;        // in [0, 1]; 0 for all
  uint64_t seed = 0;
  int32_t top_k = 0;          // 0 for all
  int32_t last_position = 0;  // a token chosen at this position or a later one ends the row
};
static_assert(sizeof(BambaSamplingRow) == 40, "C# has a struct of this layout");

// A step of all rows. Every pointer is read and written by the device, `emitted` in host memory
// that the device can write (pinned). Everything it points to is read when the step runs, so that a
// CUDA graph can hold it.
//
// A row of seq_lens 0 rests: nothing changes. Of any other the position is past_lens, after the
// addition; its token goes to next_tokens and to emitted, the latter last and for all to see. A
// token of end_tokens, or one at last_position, ends the row: seq_lens becomes 0. Where every
// score is NaN or negative infinity, emitted gets -1, the row ends and next_tokens stays.
struct BambaSamplingStep {
  const float* logits = nullptr;              // [rows, vocab]
  const BambaSamplingRow* options = nullptr;  // [rows]
  const int32_t* end_tokens = nullptr;        // [end_token_count]; may be null if there are none
  int32_t end_token_count = 0;
  int32_t rows = 0;
  int32_t vocab = 0;               // at most kMostTokens
  int32_t advance = 0;             // 1: past_lens += seq_lens first
  int32_t* past_lens = nullptr;    // [rows], tokens before the ones that gave the logits
  int32_t* seq_lens = nullptr;     // [rows]
  int64_t* next_tokens = nullptr;  // [rows], the next call's input_ids
  int32_t* emitted = nullptr;      // [ring, rows]; a token's slot is its position % ring
  int32_t ring = 0;
  void* workspace = nullptr;  // its content does not matter
};
static_assert(sizeof(BambaSamplingStep) == 88, "C# has a struct of this layout");

namespace bamba::sampling {

// A choice of tokens is packed into 52 bits, and masses of all tokens into 64.
constexpr int kTokenBits = 20;
constexpr int32_t kMostTokens = (1 << kTokenBits) - 1;

}  // namespace bamba::sampling

#endif  // BAMBA_KERNELS_SAMPLE_TOKENS_H_
