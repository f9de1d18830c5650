#include "host_team.h"

#include <memory>
#include <thread>
#include <vector>

#include "sample_cut.h"
#include "sample_stages.h"

namespace bamba::tests {
namespace {

// The kernels' order, chunk by chunk and row by row.
void RunStages(HostTeam team, const BambaSamplingStep& step, sampling::CutMemory& memory) {
  const auto each = [&](int32_t chunks, const auto& stage) {
    for (int32_t row = 0; row < step.rows; ++row) {
      for (int32_t chunk = 0; chunk < chunks; ++chunk) {
        stage(row, chunk);
        team.Sync();
      }
    }
  };
  const int32_t chunks = sampling::ChunksOf(step.vocab);
  each(chunks, [&](int32_t row, int32_t chunk) { sampling::FindHighest(team, step, row, chunk); });
  each(chunks, [&](int32_t row, int32_t chunk) {
    sampling::CountBands(team, step, row, chunk, memory.bins);
  });
  each(1, [&](int32_t row, int32_t) { sampling::FindCut(team, step, row, memory); });
  each(chunks, [&](int32_t row, int32_t chunk) { sampling::SumChunk(team, step, row, chunk); });
  each(1, [&](int32_t row, int32_t) { sampling::Choose(team, step, row); });
}

}  // namespace

void SampleTokensByStages(const BambaSamplingStep& host, int threads) {
  // Left as it comes: what a step needs of it, the step writes.
  std::vector<sampling::Tally> workspace(
      sampling::Workspace::Bytes(host.rows, host.vocab) / sizeof(sampling::Tally) + 1,
      {~uint64_t{0}, ~uint64_t{0}});
  const auto memory = std::make_unique<sampling::CutMemory>();
  BambaSamplingStep step = host;
  step.workspace = workspace.data();
  TeamRoom room(threads);
  std::vector<std::thread> others;
  for (int rank = 1; rank < threads; ++rank) {
    others.emplace_back([&, rank] { RunStages(HostTeam(room, rank), step, *memory); });
  }
  RunStages(HostTeam(room, 0), step, *memory);
  for (std::thread& thread : others) {
    thread.join();
  }
}

}  // namespace bamba::tests
