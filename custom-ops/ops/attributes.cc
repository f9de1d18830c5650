#include "attributes.h"

#include <limits>
#include <stdexcept>
#include <string>

namespace bamba::ops {
namespace {

template <typename Value>
Value ReadOr(const Ort::ConstKernelInfo& info, const char* name, Value otherwise) {
  try {
    return info.GetAttribute<Value>(name);
  } catch (const Ort::Exception&) {
    // ONNX Runtime tells an attribute that is not there by an error.
    return otherwise;
  }
}

int64_t ReadPositive(const Ort::ConstKernelInfo& info, const char* name, int64_t otherwise) {
  const int64_t value = ReadOr<int64_t>(info, name, otherwise);
  if (value <= 0) {
    throw std::invalid_argument(std::string("Mamba2ChunkScan: attribute ") + name +
                                ": expected a positive integer, found " +
                                (value == 0 ? "none or 0" : std::to_string(value)));
  }
  return value;
}

// `whole` must be a multiple of `part`.
void RequireMultiple(const char* whole_name, int64_t whole, const char* part_name, int64_t part) {
  if (whole % part != 0) {
    throw std::invalid_argument(std::string("Mamba2ChunkScan: expected ") + whole_name +
                                " to be a multiple of " + part_name + ", found " +
                                std::to_string(whole) + " and " + std::to_string(part));
  }
}

}  // namespace

Mamba2Shape ReadAttributes(const OrtKernelInfo* kernel_info) {
  const Ort::ConstKernelInfo info(kernel_info);
  Mamba2Shape shape;
  shape.num_heads = ReadPositive(info, "num_heads", 0);
  shape.head_dim = ReadPositive(info, "head_dim", 0);
  shape.state_size = ReadPositive(info, "state_size", 0);
  shape.n_groups = ReadPositive(info, "n_groups", 0);
  shape.chunk_size = ReadPositive(info, "chunk_size", 256);
  shape.norm_group_size = ReadPositive(info, "norm_group_size", shape.inner());
  shape.epsilon = ReadOr(info, "epsilon", 1e-5f);
  shape.dt_min = ReadOr(info, "dt_min", 0.0f);
  shape.dt_max = ReadOr(info, "dt_max", std::numeric_limits<float>::infinity());
  RequireMultiple("num_heads", shape.num_heads, "n_groups", shape.n_groups);
  RequireMultiple("num_heads * head_dim", shape.inner(), "norm_group_size", shape.norm_group_size);
  if (!(shape.dt_min <= shape.dt_max)) {
    throw std::invalid_argument("Mamba2ChunkScan: expected dt_min to be at most dt_max, found " +
                                std::to_string(shape.dt_min) + " and " +
                                std::to_string(shape.dt_max));
  }
  const std::string activation = ReadOr<std::string>(info, "activation", "silu");
  if (activation != "silu") {
    throw std::invalid_argument(
        "Mamba2ChunkScan: attribute activation: expected \"silu\", found \"" + activation + "\"");
  }
  return shape;
}

}  // namespace bamba::ops
