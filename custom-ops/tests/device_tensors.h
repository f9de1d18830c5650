// A call's tensors in device memory.

#ifndef BAMBA_TESTS_DEVICE_TENSORS_H_
#define BAMBA_TESTS_DEVICE_TENSORS_H_

#include <cstddef>
#include <utility>
#include <vector>

#include "mamba2_chunk_scan.h"

namespace bamba::tests {

// Ends the program with what CUDA says is wrong, if anything.
void RequireCuda(int error, const char* what);

// Device memory of its own.
class DeviceBuffer {
 public:
  explicit DeviceBuffer(size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  DeviceBuffer& operator=(DeviceBuffer&&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

// Copies of all tensors of a call on the host, inputs and outputs.
class DeviceTensors {
 public:
  DeviceTensors(const Mamba2Shape& shape, const Mamba2Tensors& host);

  const Mamba2Tensors& tensors() const { return tensors_; }

  // Copies the outputs to where the host's tensors lie.
  void CopyOutputs() const;

 private:
  void* Add(const void* host, size_t bytes);

  Mamba2Shape shape_;
  Mamba2Tensors host_;
  Mamba2Tensors tensors_;
  std::vector<DeviceBuffer> buffers_;
};

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_DEVICE_TENSORS_H_
