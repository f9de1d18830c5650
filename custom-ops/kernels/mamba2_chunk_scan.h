// The operands of bamba::Mamba2ChunkScan as plain pointers and sizes: what every implementation of
// the operator takes, on whatever device. custom-ops/README.md says what they mean and what is
// computed.

#ifndef BAMBA_KERNELS_MAMBA2_CHUNK_SCAN_H_
#define BAMBA_KERNELS_MAMBA2_CHUNK_SCAN_H_

#include <cstdint>

#include "data_type.h"

namespace bamba {

// Sizes and attributes. Whoever fills this has checked it against the operator's page.
struct Mamba2Shape {
  DataType data_type = DataType::kFloat32;
  int64_t batch = 0;          // B
  int64_t length = 0;         // L
  int64_t num_sequences = 0;  // S of the packed form, otherwise B
  int64_t state_rows = 0;     // R
  int64_t num_heads = 0;      // H
  int64_t head_dim = 0;       // P
  int64_t state_size = 0;     // N
  int64_t n_groups = 0;       // G
  int64_t conv_width = 0;     // K
  int64_t chunk_size = 0;     // Q, a wish
  int64_t norm_group_size = 0;
  float epsilon = 0;
  float dt_min = 0;
  float dt_max = 0;

  constexpr int64_t inner() const { return num_heads * head_dim; }                         // E
  constexpr int64_t conv_channels() const { return inner() + 2 * n_groups * state_size; }  // Cd
  // Elements of a token in zxbcdt.
  constexpr int64_t projected() const { return inner() + conv_channels() + num_heads; }
  constexpr int64_t heads_per_group() const { return num_heads / n_groups; }
};

// Every tensor is dense and row-major; void is an element of type T. Only present may alias past,
// each its own.
struct Mamba2Tensors {
  const void* zxbcdt = nullptr;                 // [B, L, E + Cd + H]
  const float* conv_weight = nullptr;           // [Cd, K]
  const float* conv_bias = nullptr;             // [Cd]
  const float* a_log = nullptr;                 // [H]
  const float* d = nullptr;                     // [H]
  const float* dt_bias = nullptr;               // [H]
  const float* norm_weight = nullptr;           // [E]
  const void* past_conv_state = nullptr;        // [R, Cd, K - 1]
  const float* past_recurrent_state = nullptr;  // [R, H, P, N]
  const int32_t* seq_lens = nullptr;            // [B]
  const int32_t* cu_seqlens = nullptr;          // [S + 1], null unless packed
  const int32_t* state_indices = nullptr;       // [S], null: sequence s owns row s
  void* y = nullptr;                            // [B, L, E]
  void* present_conv_state = nullptr;           // [R, Cd, K - 1]
  float* present_recurrent_state = nullptr;     // [R, H, P, N]
};

}  // namespace bamba

#endif  // BAMBA_KERNELS_MAMBA2_CHUNK_SCAN_H_
