// The pieces that the CPU's operator is made of, each compiled for every instruction set.

#ifndef BAMBA_KERNELS_CPU_KERNELS_H_
#define BAMBA_KERNELS_CPU_KERNELS_H_

#include <cstdint>

#include "sequences.h"

namespace bamba::cpu {

// Tokens of a chunk. Few enough that float32 sums of dt A keep their digits.
constexpr int64_t kChunk = 32;
// Rows of x and the state are padded to a multiple of the widest vector.
constexpr int64_t kPad = 16;

constexpr int64_t Padded(int64_t size) { return (size + kPad - 1) / kPad * kPad; }

// A call and its scratch memory.
struct Work {
  const Mamba2Shape& shape;
  const Mamba2Tensors& tensors;
  float* taps;       // conv_weight turned, [K, Cd]
  float* convolved;  // x, B and C, rounded to T, [B * L, Cd]
  float* dt;         // [B * L, H]
  float* b;          // B and C once more, by chunks: [chunks, G, kChunk, N]
  float* c;          //
  float* scores;     // C Bᵀ of every chunk at and below the diagonal, [chunks, G, kChunk, kChunk]
  float* scanned;    // v, [B * L, E]
};

// Where a chunk's b, c or scores begin, of so many elements a group.
inline int64_t ChunkOffset(const Mamba2Shape& shape, int64_t chunk, int64_t group,
                           int64_t elements) {
  return (chunk * shape.n_groups + group) * elements;
}

// Some tokens of a sequence that are worked on together.
struct Span {
  Sequence sequence;
  int64_t start;
  int64_t count;
  int64_t index;  // through all sequences
};

struct Kernels {
  // Turns conv_weight, for some channels.
  void (*turn_taps)(const Work& work, int64_t first_channel, int64_t count);
  // Convolution, SiLU and dt of a chunk's tokens.
  void (*convolve)(const Work& work, const Span& chunk);
  // B, C and C Bᵀ of a chunk, every group.
  void (*score)(const Work& work, const Span& chunk);
  // The scan of one head of a sequence, whose first chunk has this index.
  void (*scan)(const Work& work, const Sequence& sequence, int64_t first_chunk, int64_t head);
  // The conv state of a sequence.
  void (*shift)(const Work& work, const Sequence& sequence);
  // Gate and norm: y of a token.
  void (*finish)(const Work& work, int64_t token);
  // A decode step: convolution of a row's token, with its conv state, then one head.
  void (*convolve_step)(const Work& work, const Sequence& sequence);
  void (*scan_step)(const Work& work, const Sequence& sequence, int64_t head);
};

namespace plain {
Kernels Of(DataType type);
}
namespace avx2 {
Kernels Of(DataType type);
}
namespace avx512 {
Kernels Of(DataType type);
}

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_KERNELS_H_
