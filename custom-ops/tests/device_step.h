// A step that chooses tokens, in device memory.

#ifndef BAMBA_TESTS_DEVICE_STEP_H_
#define BAMBA_TESTS_DEVICE_STEP_H_

#include <vector>

#include "device_tensors.h"
#include "sample_tokens.h"

namespace bamba::tests {

// Copies of all that a step on the host points to, in device memory; what it emits in memory of the
// host that the device can write.
class DeviceStep {
 public:
  explicit DeviceStep(const BambaSamplingStep& host);
  ~DeviceStep();
  DeviceStep(const DeviceStep&) = delete;
  DeviceStep& operator=(const DeviceStep&) = delete;

  const BambaSamplingStep& step() const { return step_; }

  // Copies what a step changes to where the host's step has it.
  void CopyOutputs() const;

 private:
  template <typename T>
  T* Add(T* host, int64_t count);

  BambaSamplingStep host_;
  BambaSamplingStep step_;
  std::vector<DeviceBuffer> buffers_;
};

// Runs a step of host memory on the device, from a CUDA graph.
void SampleOnDevice(const BambaSamplingStep& host);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_DEVICE_STEP_H_
