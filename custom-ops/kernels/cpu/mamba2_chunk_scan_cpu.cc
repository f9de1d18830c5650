#include "cpu/mamba2_chunk_scan_cpu.h"

#include <algorithm>
#include <vector>

#include "cpu/kernels.h"

namespace bamba::cpu {
namespace {

// Work too small to wake other threads for, in elements of the state.
constexpr int64_t kWorthThreads = 64 * 1024;

// Chunks of all sequences that the shape allows for.
int64_t MostChunks(const Mamba2Shape& shape) {
  const int64_t of_rows = shape.batch * ((shape.length + kChunk - 1) / kChunk);
  return std::max(of_rows, shape.length / kChunk + shape.num_sequences);
}

// Lays the scratch memory out; with a null start, how many floats it takes.
int64_t LayOut(const Mamba2Shape& shape, float* start, Work* work) {
  int64_t taken = 0;
  const auto take = [&](int64_t size) {
    float* piece = start == nullptr ? nullptr : start + taken;
    taken += Padded(size);
    return piece;
  };
  const int64_t chunk_groups = MostChunks(shape) * shape.n_groups;
  const int64_t states = Padded(shape.state_size);
  float* convolved = take(shape.length == 1 ? shape.batch * shape.conv_channels() : 0);
  float* dt = take(MostChunks(shape) * shape.num_heads * kChunk);
  float* b = take(chunk_groups * kChunk * states);
  float* c = take(chunk_groups * kChunk * states);
  float* scores = take(chunk_groups * kChunk * kChunk);
  const bool in_y = shape.data_type == DataType::kFloat32;
  float* gated = take(in_y ? 0 : shape.batch * shape.length * shape.inner());
  if (work != nullptr) {
    work->convolved = convolved;
    work->dt = dt;
    work->b = b;
    work->c = c;
    work->scores = scores;
    work->gated = in_y ? static_cast<float*>(work->tensors.y) : gated;
  }
  return taken;
}

// The sequences that have tokens, the chunks they are cut into, and each one's first chunk.
struct Plan {
  std::vector<Sequence> sequences;
  std::vector<int64_t> first_chunks;
  std::vector<Span> chunks;

  Plan(const Mamba2Shape& shape, const Mamba2Tensors& tensors) {
    for (int64_t s = 0; s < shape.num_sequences; ++s) {
      const Sequence sequence = SequenceAt(shape, tensors, s);
      sequences.push_back(sequence);
      first_chunks.push_back(static_cast<int64_t>(chunks.size()));
      for (int64_t start = 0; start < sequence.length; start += kChunk) {
        chunks.push_back({sequence, start, std::min(kChunk, sequence.length - start),
                          static_cast<int64_t>(chunks.size())});
      }
    }
  }
};

void Normalize(const Work& work, const Kernels& kernels, const Plan& plan, const ThreadPool* pool) {
  Run(pool, static_cast<int64_t>(plan.chunks.size()), [&](int64_t i) {
    const Span& chunk = plan.chunks[i];
    for (int64_t t = 0; t < chunk.count; ++t) {
      kernels.normalize(work, chunk.sequence.first_token + chunk.start + t);
    }
  });
}

struct Heads {
  int64_t first;
  int64_t count;
};

// The heads of a sequence, some together; one at a time at the end, so that threads end together.
std::vector<Heads> CutHeads(int64_t heads) {
  std::vector<Heads> pieces;
  const int64_t alone = heads / 8;
  for (int64_t first = 0; first < heads; first += pieces.back().count) {
    const int64_t together = heads - first > alone ? kHeadsTogether : 1;
    pieces.push_back({first, std::min(together, heads - first)});
  }
  return pieces;
}

void ScanHeads(const Work& work, const Kernels& kernels, const Plan& plan, int64_t sequence,
               const Heads& heads) {
  kernels.scan(work, plan.sequences[sequence], plan.first_chunks[sequence], heads.first,
               heads.count);
}

void Prefill(const Work& work, const Kernels& kernels, const Plan& plan, const ThreadPool* pool) {
  const std::vector<Heads> heads = CutHeads(work.shape.num_heads);
  const int64_t pieces = static_cast<int64_t>(heads.size());
  const int64_t sequences = static_cast<int64_t>(plan.sequences.size());
  Run(pool, static_cast<int64_t>(plan.chunks.size()),
      [&](int64_t i) { kernels.prepare(work, plan.chunks[i]); });
  Run(pool, sequences * pieces, [&](int64_t i) {
    if (i % pieces == 0) {
      kernels.shift(work, plan.sequences[i / pieces]);
    }
    ScanHeads(work, kernels, plan, i / pieces, heads[i % pieces]);
  });
  Normalize(work, kernels, plan, pool);
}

void Step(const Work& work, const Kernels& kernels, const Plan& plan, const ThreadPool* pool) {
  const int64_t heads = work.shape.num_heads;
  const int64_t rows = static_cast<int64_t>(plan.chunks.size());
  Run(pool, rows, [&](int64_t i) { kernels.convolve_step(work, plan.chunks[i].sequence); });
  Run(pool, rows * heads,
      [&](int64_t i) { kernels.scan_step(work, plan.chunks[i / heads].sequence, i % heads); });
  Normalize(work, kernels, plan, pool);
  // Rows without a token keep their states.
  for (size_t i = 0; i < plan.sequences.size(); ++i) {
    if (plan.sequences[i].length == 0) {
      kernels.shift(work, plan.sequences[i]);
      for (const Heads& piece : CutHeads(heads)) {
        ScanHeads(work, kernels, plan, static_cast<int64_t>(i), piece);
      }
    }
  }
}

Kernels KernelsOf(Isa isa, DataType type) {
  switch (isa) {
#if defined(BAMBA_HAS_AVX)
    case Isa::kAvx512Vnni:
    case Isa::kAvx512:
      return avx512::Of(type);
    case Isa::kAvx2:
      return avx2::Of(type);
#endif
    default:
      return plain::Of(type);
  }
}

}  // namespace

size_t Mamba2WorkspaceBytes(const Mamba2Shape& shape) {
  return static_cast<size_t>(LayOut(shape, nullptr, nullptr)) * sizeof(float);
}

void Mamba2ChunkScan(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                     const ThreadPool& pool, Isa isa) {
  Work work = {shape, tensors, {}, {}, {}, {}, {}, {}};
  LayOut(shape, static_cast<float*>(workspace), &work);
  const Kernels kernels = KernelsOf(isa, shape.data_type);
  const Plan plan(shape, tensors);
  const int64_t state_elements = shape.batch * shape.length * shape.inner() * shape.state_size;
  const ThreadPool* threads = state_elements < kWorthThreads ? nullptr : &pool;
  if (shape.length == 1 && tensors.cu_seqlens == nullptr) {
    Step(work, kernels, plan, threads);
  } else {
    Prefill(work, kernels, plan, threads);
  }
  FinishRest(shape, tensors);
}

}  // namespace bamba::cpu
