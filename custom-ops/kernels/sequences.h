// Which tokens and which row of the states belong to a sequence, on the host.

#ifndef BAMBA_KERNELS_SEQUENCES_H_
#define BAMBA_KERNELS_SEQUENCES_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "mamba2_chunk_scan.h"

namespace bamba {

// One sequence: a row of the batch, or a piece of the packed row.
struct Sequence {
  int64_t first_token;  // within [B * L]
  int64_t length;
  int64_t state_row;
};

inline Sequence SequenceAt(const Mamba2Shape& shape, const Mamba2Tensors& tensors, int64_t s) {
  if (tensors.cu_seqlens == nullptr) {
    return {s * shape.length, tensors.seq_lens[s], s};
  }
  const int64_t row = tensors.state_indices == nullptr ? s : tensors.state_indices[s];
  return {tensors.cu_seqlens[s], tensors.cu_seqlens[s + 1] - tensors.cu_seqlens[s], row};
}

// Zeros y at the tokens that are not real, and carries the state rows that no sequence owns from
// past to present.
inline void FinishRest(const Mamba2Shape& shape, const Mamba2Tensors& tensors) {
  const int64_t token_bytes = shape.inner() * ElementBytes(shape.data_type);
  char* y = static_cast<char*>(tensors.y);
  std::vector<bool> owned(shape.state_rows, false);
  int64_t packed_end = 0;
  for (int64_t s = 0; s < shape.num_sequences; ++s) {
    const Sequence sequence = SequenceAt(shape, tensors, s);
    owned[sequence.state_row] = true;
    packed_end = sequence.first_token + sequence.length;
    if (tensors.cu_seqlens == nullptr) {
      std::fill_n(y + packed_end * token_bytes, (shape.length - sequence.length) * token_bytes, 0);
    }
  }
  if (tensors.cu_seqlens != nullptr) {
    std::fill_n(y + packed_end * token_bytes, (shape.length - packed_end) * token_bytes, 0);
  }
  const auto carry = [&](const void* past, void* present, int64_t row_bytes) {
    for (int64_t row = 0; past != present && row < shape.state_rows; ++row) {
      if (!owned[row]) {
        std::copy_n(static_cast<const char*>(past) + row * row_bytes, row_bytes,
                    static_cast<char*>(present) + row * row_bytes);
      }
    }
  };
  carry(tensors.past_conv_state, tensors.present_conv_state,
        shape.conv_channels() * (shape.conv_width - 1) * ElementBytes(shape.data_type));
  carry(tensors.past_recurrent_state, tensors.present_recurrent_state,
        shape.inner() * shape.state_size * static_cast<int64_t>(sizeof(float)));
}

}  // namespace bamba

#endif  // BAMBA_KERNELS_SEQUENCES_H_
