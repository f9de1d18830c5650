// The pieces that the CPU's operator is made of, each compiled for every instruction set.

#ifndef BAMBA_KERNELS_CPU_KERNELS_H_
#define BAMBA_KERNELS_CPU_KERNELS_H_

#include <cstdint>

#include "sequences.h"

namespace bamba::cpu {

// Tokens of a chunk. Few enough that float32 sums of dt A keep their digits.
constexpr int64_t kChunk = 32;
// Heads that are worked on together, chunk by chunk, since a token's lie side by side in memory.
constexpr int64_t kHeadsTogether = 2;
// Rows of x and the state are padded to a multiple of the widest vector.
constexpr int64_t kPad = 16;

constexpr int64_t Padded(int64_t size) { return (size + kPad - 1) / kPad * kPad; }

// A call and its scratch memory.
struct Work {
  const Mamba2Shape& shape;
  const Mamba2Tensors& tensors;
  float* convolved;  // of a step alone: x, B and C, rounded to T, [B, Cd]
  // By chunks, B and C as left operands of tiles: a tile's rows (R) side by side.
  float* dt;      // [chunks, H, kChunk], zero past a chunk's end
  float* b;       // B, [chunks, G, padded N / R, kChunk, R]
  float* c;       // C, [chunks, G, kChunk / R, padded N, R]
  float* scores;  // C Bᵀ, turned, [chunks, G, kChunk, kChunk], zero where a token would see later
                  // ones
  float* gated;   // r, [B * L, E]: y itself where T is float32
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
  // dt, B, C and C Bᵀ of a chunk.
  void (*prepare)(const Work& work, const Span& chunk);
  // The scan and gate of at most kHeadsTogether heads of a sequence, whose first chunk has this
  // index, and what their channels leave in the conv state.
  void (*scan)(const Work& work, const Sequence& sequence, int64_t first_chunk, int64_t first_head,
               int64_t heads);
  // What B and C of a sequence leave in the conv state.
  void (*shift)(const Work& work, const Sequence& sequence);
  // The norm: y of a token.
  void (*normalize)(const Work& work, int64_t token);
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
