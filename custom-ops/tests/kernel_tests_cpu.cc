// The CPU's kernels against the scalar twin, with every instruction set that this machine has, on
// one thread and on three.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cpu/mamba2_chunk_scan_cpu.h"
#include "cpu/matmul_nbits_cpu.h"
#include "cpu/swiglu_cpu.h"
#include "matmul_nbits_cases.h"
#include "suite.h"
#include "swiglu_cases.h"

namespace bamba::tests {
namespace {

// Threads that take tasks as they come.
void RunOnThreads(void* self, size_t count, void (*task)(void*, size_t), void* context) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      task(context, i);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < *static_cast<int*>(self); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) {
    thread.join();
  }
}

class CpuImplementation : public Implementation {
 public:
  CpuImplementation(cpu::Isa isa, int threads) : isa_(isa), threads_(threads) {}

  void Run(const Mamba2Shape& shape, const Mamba2Tensors& tensors) override {
    const size_t bytes = (cpu::Mamba2WorkspaceBytes(shape) + 63) / 64 * 64;
    // Left as it comes: what a call needs of it, the call writes.
    void* workspace = std::aligned_alloc(64, bytes + 64);
    const cpu::ThreadPool pool = {&threads_, RunOnThreads, threads_};
    cpu::Mamba2ChunkScan(shape, tensors, workspace, pool, isa_);
    std::free(workspace);
  }

 private:
  cpu::Isa isa_;
  int threads_;
};

// With scratch memory that is left as it comes.
void MatMulNBits(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                 const cpu::ThreadPool& pool, cpu::Isa isa) {
  std::unique_ptr<char[]> workspace(new char[cpu::MatMulNBitsWorkspaceBytes(shape)]);
  cpu::MatMulNBits(shape, tensors, workspace.get(), pool, isa);
}

}  // namespace
}  // namespace bamba::tests

int main() {
  using bamba::cpu::Isa;
  bamba::tests::Tally tally;
  for (Isa isa : {Isa::kPlain, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni}) {
    const std::string name = bamba::cpu::IsaName(isa);
    if (isa > bamba::cpu::BestIsa()) {
      std::printf("skipped %s: this processor has none\n", name.c_str());
      continue;
    }
    int threads = isa == bamba::cpu::BestIsa() ? 3 : 1;
    bamba::tests::CpuImplementation implementation(isa, threads);
    bamba::tests::RunSuite(name + ", " + std::to_string(threads) + " threads", implementation,
                           std::numeric_limits<int64_t>::max(), tally);
    const bamba::cpu::ThreadPool pool = {&threads, bamba::tests::RunOnThreads, threads};
    bamba::tests::RunSwiGlu(
        name + ", " + std::to_string(threads) + " threads",
        [&](const auto& shape, const auto& tensors) {
          bamba::cpu::SwiGlu(shape, tensors, pool, isa);
        },
        isa == bamba::cpu::BestIsa(), tally);
    bamba::tests::RunMatMulNBits(
        name + ", " + std::to_string(threads) + " threads",
        [&](const auto& shape, const auto& tensors) {
          bamba::tests::MatMulNBits(shape, tensors, pool, isa);
        },
        bamba::tests::Rounding::kActivations, tally);
    if (isa == bamba::cpu::BestIsa()) {
      bamba::tests::RunLarge(name, implementation, tally);
    }
  }
  return Finish(tally);
}
