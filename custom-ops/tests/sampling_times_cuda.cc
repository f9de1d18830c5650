// How long choosing tokens takes on the device, steps queued one behind another:
//
//   sampling_times_cuda [VOCAB]    128256 by default

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "cuda/sample_tokens_cuda.h"
#include "device_step.h"
#include "device_tensors.h"

namespace bamba::tests {
namespace {

constexpr int kSteps = 200;

struct Choice {
  const char* name;
  double temperature;
  int32_t top_k;
  double top_p;
  double min_p;
  float deviation;  // of the scores
};

constexpr Choice kChoices[] = {
    {"greedy", 0, 0, 1, 0, 2.5f},
    {"temperature", 0.8, 0, 1, 0, 2.5f},
    {"top-k 40", 0.8, 40, 1, 0, 2.5f},
    {"top-p 0.9", 0.8, 0, 0.9, 0, 2.5f},
    {"min-p 0.05", 0.8, 0, 1, 0.05, 2.5f},
    {"top-k 40, top-p 0.9, min-p 0.05", 0.8, 40, 0.9, 0.05, 2.5f},
    {"top-p 0.9 of scores that nearly tie", 0.8, 0, 0.9, 0, 0.001f},
};

// Steps of a graph, microseconds each.
double Measure(const BambaSamplingStep& step, cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  RequireCuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < kSteps; ++i) {
    RequireCuda(cuda::SampleTokens(step, stream), "SampleTokens");
  }
  RequireCuda(cudaStreamEndCapture(stream, &graph), "capture");
  RequireCuda(cudaGraphInstantiate(&ready, graph, 0), "a graph");
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  RequireCuda(cudaEventCreate(&begin), "an event");
  RequireCuda(cudaEventCreate(&end), "an event");
  float best = std::numeric_limits<float>::max();
  for (int run = 0; run < 5; ++run) {
    RequireCuda(cudaEventRecord(begin, stream), "an event");
    RequireCuda(cudaGraphLaunch(ready, stream), "a graph");
    RequireCuda(cudaEventRecord(end, stream), "an event");
    RequireCuda(cudaEventSynchronize(end), "SampleTokens");
    float milliseconds = 0;
    RequireCuda(cudaEventElapsedTime(&milliseconds, begin, end), "an event");
    best = milliseconds < best ? milliseconds : best;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  cudaGraphExecDestroy(ready);
  cudaGraphDestroy(graph);
  return best * 1000 / kSteps;
}

double MeasureChoice(const Choice& choice, int32_t rows, int32_t vocab, cudaStream_t stream) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal(0, choice.deviation);
  std::vector<float> logits(static_cast<size_t>(rows) * vocab);
  for (float& score : logits) {
    score = normal(random);
  }
  BambaSamplingRow options;
  options.temperature = choice.temperature;
  options.top_k = choice.top_k;
  options.top_p = choice.top_p;
  options.min_p = choice.min_p;
  options.last_position = std::numeric_limits<int32_t>::max();
  const std::vector<BambaSamplingRow> all(rows, options);
  std::vector<int32_t> past_lens(rows);
  std::vector<int32_t> seq_lens(rows, 1);
  std::vector<int64_t> next_tokens(rows);
  std::vector<int32_t> emitted(rows);
  BambaSamplingStep host;
  host.logits = logits.data();
  host.options = all.data();
  host.rows = rows;
  host.vocab = vocab;
  host.advance = 1;
  host.past_lens = past_lens.data();
  host.seq_lens = seq_lens.data();
  host.next_tokens = next_tokens.data();
  host.emitted = emitted.data();
  host.ring = 1;
  const DeviceStep device(host);
  return Measure(device.step(), stream);
}

}  // namespace
}  // namespace bamba::tests

int main(int count, char** arguments) {
  using namespace bamba::tests;
  const int32_t vocab = count > 1 ? std::atoi(arguments[1]) : 128256;
  cudaStream_t stream = nullptr;
  RequireCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  for (const int32_t rows : {1, 8, 64, 256}) {
    for (const Choice& choice : kChoices) {
      std::printf("%3d rows, %-40s %8.2f us\n", rows, choice.name,
                  MeasureChoice(choice, rows, vocab, stream));
    }
  }
  return 0;
}
