// The stages that choose tokens as kernels: a block a chunk, or a block a row. Each starts while
// the one before it ends, and reads what that one wrote once it has.

#include "block_team.cuh"
#include "launch.cuh"
#include "sample_cut.h"
#include "sample_stages.h"
#include "sample_tokens_cuda.h"

namespace bamba::cuda {
namespace {

constexpr int kThreads = 1024;

using Team = BlockTeam<kThreads>;

__global__ void __launch_bounds__(kThreads) FindHighestKernel(BambaSamplingStep step) {
  LetKernelAfterStart();
  Team team;
  sampling::FindHighest(team, step, blockIdx.y, blockIdx.x);
}

__global__ void __launch_bounds__(kThreads) CountBandsKernel(BambaSamplingStep step) {
  __shared__ __align__(16) unsigned char memory[sampling::kBands * sizeof(sampling::Tally)];
  WaitForKernelBefore();
  LetKernelAfterStart();
  Team team;
  sampling::CountBands(team, step, blockIdx.y, blockIdx.x,
                       reinterpret_cast<sampling::Tally*>(memory));
}

__global__ void __launch_bounds__(kThreads) FindCutKernel(BambaSamplingStep step) {
  extern __shared__ __align__(16) unsigned char memory[];
  WaitForKernelBefore();
  LetKernelAfterStart();
  Team team;
  sampling::FindCut(team, step, blockIdx.x, *reinterpret_cast<sampling::CutMemory*>(memory));
}

__global__ void __launch_bounds__(kThreads) SumChunkKernel(BambaSamplingStep step) {
  WaitForKernelBefore();
  LetKernelAfterStart();
  Team team;
  sampling::SumChunk(team, step, blockIdx.y, blockIdx.x);
}

__global__ void __launch_bounds__(kThreads) ChooseKernel(BambaSamplingStep step) {
  WaitForKernelBefore();
  Team team;
  sampling::Choose(team, step, blockIdx.x);
}

bool IsValid(const BambaSamplingStep& step) {
  return step.rows > 0 && step.vocab > 0 && step.vocab <= sampling::kMostTokens && step.ring > 0 &&
         step.end_token_count >= 0 && (step.end_tokens != nullptr || step.end_token_count == 0) &&
         step.logits != nullptr && step.options != nullptr && step.past_lens != nullptr &&
         step.seq_lens != nullptr && step.next_tokens != nullptr && step.emitted != nullptr &&
         step.workspace != nullptr;
}

}  // namespace

size_t SampleTokensWorkspaceBytes(int32_t rows, int32_t vocab) {
  return sampling::Workspace::Bytes(rows, vocab);
}

cudaError_t SampleTokens(const BambaSamplingStep& step, cudaStream_t stream) {
  if (!IsValid(step)) {
    return cudaErrorInvalidValue;
  }
  const unsigned rows = static_cast<unsigned>(step.rows);
  const Launch chunks = {dim3(sampling::ChunksOf(step.vocab), rows), kThreads, 0, stream, true};
  const Launch whole = {dim3(rows), kThreads, 0, stream, true};
  Launch first = chunks;
  first.overlaps = false;
  Launch cut = whole;
  cut.shared_bytes = sizeof(sampling::CutMemory);
  cudaError_t error = Start(first, FindHighestKernel, step);
  error = error != cudaSuccess ? error : Start(chunks, CountBandsKernel, step);
  error = error != cudaSuccess ? error : Start(cut, FindCutKernel, step);
  error = error != cudaSuccess ? error : Start(chunks, SumChunkKernel, step);
  return error != cudaSuccess ? error : Start(whole, ChooseKernel, step);
}

}  // namespace bamba::cuda
