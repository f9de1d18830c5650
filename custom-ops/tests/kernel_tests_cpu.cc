// The CPU's kernels against the scalar twin, with every instruction set that this machine has, on
// one thread and on three.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "comparison.h"
#include "cpu/mamba2_chunk_scan_cpu.h"
#include "laws.h"

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

int passed = 0;
int failed = 0;

void Report(const std::string& name, const std::string& problems) {
  ++(problems.empty() ? passed : failed);
  if (!problems.empty()) {
    std::printf("FAILED %s: %s\n", name.c_str(), problems.c_str());
  }
}

void TestAll(cpu::Isa isa, int threads) {
  CpuImplementation implementation(isa, threads);
  const std::string prefix =
      std::string(cpu::IsaName(isa)) + ", " + std::to_string(threads) + " threads, ";
  for (const Case& row : AllCases()) {
    Report(prefix + row.name, Check(row, implementation));
  }
  for (const Law& law : AllLaws()) {
    for (DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16}) {
      Report(prefix + law.name, law.check(type, implementation));
    }
  }
}

}  // namespace
}  // namespace bamba::tests

int main() {
  using bamba::cpu::Isa;
  for (Isa isa : {Isa::kPlain, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > bamba::cpu::BestIsa()) {
      std::printf("skipped %s: this processor has none\n", bamba::cpu::IsaName(isa));
      continue;
    }
    bamba::tests::TestAll(isa, isa == bamba::cpu::BestIsa() ? 3 : 1);
  }
  std::printf("%d passed, %d failed\n", bamba::tests::passed, bamba::tests::failed);
  return bamba::tests::failed == 0 ? 0 : 1;
}
