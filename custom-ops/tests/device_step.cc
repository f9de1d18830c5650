#include "device_step.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "cuda/sample_tokens_cuda.h"

namespace bamba::tests {

DeviceStep::DeviceStep(const BambaSamplingStep& host) : host_(host), step_(host) {
  step_.logits = Add(host.logits, static_cast<int64_t>(host.rows) * host.vocab);
  step_.options = Add(host.options, host.rows);
  step_.end_tokens = Add(host.end_tokens, host.end_token_count);
  step_.past_lens = Add(host.past_lens, host.rows);
  step_.seq_lens = Add(host.seq_lens, host.rows);
  step_.next_tokens = Add(host.next_tokens, host.rows);
  const int64_t slots = static_cast<int64_t>(host.ring) * host.rows;
  void* emitted = nullptr;
  RequireCuda(cudaMallocHost(&emitted, slots * sizeof(int32_t)), "cudaMallocHost");
  step_.emitted = static_cast<int32_t*>(emitted);
  std::copy_n(host.emitted, slots, step_.emitted);
  // Left as it comes: what a step needs of it, the step writes.
  buffers_.emplace_back(cuda::SampleTokensWorkspaceBytes(host.rows, host.vocab));
  step_.workspace = buffers_.back().data();
}

DeviceStep::~DeviceStep() { cudaFreeHost(step_.emitted); }

void DeviceStep::CopyOutputs() const {
  const auto copy = [&](auto* to, const auto* from) {
    RequireCuda(cudaMemcpy(to, from, host_.rows * sizeof(*from), cudaMemcpyDeviceToHost),
                "copy to the host");
  };
  copy(host_.past_lens, step_.past_lens);
  copy(host_.seq_lens, step_.seq_lens);
  copy(host_.next_tokens, step_.next_tokens);
  std::copy_n(step_.emitted, static_cast<int64_t>(host_.ring) * host_.rows, host_.emitted);
}

template <typename T>
T* DeviceStep::Add(T* host, int64_t count) {
  buffers_.emplace_back(count * sizeof(T));
  void* data = buffers_.back().data();
  if (count > 0) {
    RequireCuda(cudaMemcpy(data, host, count * sizeof(T), cudaMemcpyHostToDevice),
                "copy to the device");
  }
  return static_cast<T*>(data);
}

void SampleOnDevice(const BambaSamplingStep& host) {
  const DeviceStep device(host);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  RequireCuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  RequireCuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  RequireCuda(cuda::SampleTokens(device.step(), stream), "SampleTokens");
  RequireCuda(cudaStreamEndCapture(stream, &graph), "capture");
  RequireCuda(cudaGraphInstantiate(&ready, graph, 0), "a graph");
  RequireCuda(cudaGraphLaunch(ready, stream), "a graph");
  RequireCuda(cudaStreamSynchronize(stream), "SampleTokens");
  device.CopyOutputs();
  cudaGraphExecDestroy(ready);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

}  // namespace bamba::tests
