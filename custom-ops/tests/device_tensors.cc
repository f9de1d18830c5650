#include "device_tensors.h"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>

#include "sequences.h"

namespace bamba::tests {
namespace {

size_t YBytes(const Mamba2Shape& shape) {
  return shape.batch * shape.length * shape.inner() * ElementBytes(shape.data_type);
}

size_t ConvStateBytes(const Mamba2Shape& shape) {
  return shape.state_rows * shape.conv_channels() * (shape.conv_width - 1) *
         ElementBytes(shape.data_type);
}

size_t RecurrentStateBytes(const Mamba2Shape& shape) {
  return shape.state_rows * shape.inner() * shape.state_size * sizeof(float);
}

}  // namespace

void RequireCuda(int error, const char* what) {
  if (error != cudaSuccess) {
    std::printf("%s: %s\n", what, cudaGetErrorString(static_cast<cudaError_t>(error)));
    std::exit(2);
  }
}

DeviceBuffer::DeviceBuffer(size_t bytes) : bytes_(bytes) {
  // An empty tensor has an address too.
  RequireCuda(cudaMalloc(&data_, bytes == 0 ? 1 : bytes), "cudaMalloc");
}

DeviceBuffer::~DeviceBuffer() { cudaFree(data_); }

DeviceTensors::DeviceTensors(const Mamba2Shape& shape, const Mamba2Tensors& host)
    : shape_(shape), host_(host) {
  const size_t channels = shape.conv_channels() * sizeof(float);
  const size_t heads = shape.num_heads * sizeof(float);
  const auto floats = [&](const float* from, size_t bytes) {
    return static_cast<const float*>(Add(from, bytes));
  };
  const auto integers = [&](const int32_t* from, int64_t count) {
    return static_cast<const int32_t*>(from == nullptr ? nullptr
                                                       : Add(from, count * sizeof(int32_t)));
  };
  tensors_.zxbcdt = Add(
      host.zxbcdt, shape.batch * shape.length * shape.projected() * ElementBytes(shape.data_type));
  tensors_.conv_weight = floats(host.conv_weight, channels * shape.conv_width);
  tensors_.conv_bias = floats(host.conv_bias, channels);
  tensors_.a_log = floats(host.a_log, heads);
  tensors_.d = floats(host.d, heads);
  tensors_.dt_bias = floats(host.dt_bias, heads);
  tensors_.norm_weight = floats(host.norm_weight, shape.inner() * sizeof(float));
  tensors_.seq_lens = integers(host.seq_lens, shape.batch);
  tensors_.cu_seqlens = integers(host.cu_seqlens, shape.num_sequences + 1);
  tensors_.state_indices = integers(host.state_indices, shape.num_sequences);
  tensors_.y = Add(host.y, YBytes(shape));
  tensors_.present_conv_state = Add(host.present_conv_state, ConvStateBytes(shape));
  tensors_.past_conv_state = host.past_conv_state == host.present_conv_state
                                 ? tensors_.present_conv_state
                                 : Add(host.past_conv_state, ConvStateBytes(shape));
  tensors_.present_recurrent_state =
      static_cast<float*>(Add(host.present_recurrent_state, RecurrentStateBytes(shape)));
  tensors_.past_recurrent_state =
      host.past_recurrent_state == host.present_recurrent_state
          ? tensors_.present_recurrent_state
          : floats(host.past_recurrent_state, RecurrentStateBytes(shape));
}

void DeviceTensors::CopyOutputs() const {
  const auto copy = [](void* to, const void* from, size_t bytes) {
    RequireCuda(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "copy to the host");
  };
  copy(host_.y, tensors_.y, YBytes(shape_));
  copy(host_.present_conv_state, tensors_.present_conv_state, ConvStateBytes(shape_));
  copy(host_.present_recurrent_state, tensors_.present_recurrent_state,
       RecurrentStateBytes(shape_));
}

void* DeviceTensors::Add(const void* host, size_t bytes) {
  buffers_.emplace_back(bytes);
  RequireCuda(cudaMemcpy(buffers_.back().data(), host, bytes, cudaMemcpyHostToDevice),
              "copy to the device");
  return buffers_.back().data();
}

}  // namespace bamba::tests
