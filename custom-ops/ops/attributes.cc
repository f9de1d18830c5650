#include "attributes.h"

#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

namespace bamba::ops {
namespace {

[[noreturn]] void FailAt(const char* name, const std::string& expected, const std::string& found) {
  throw std::invalid_argument(std::string("Mamba2ChunkScan: attribute ") + name + ": expected " +
                              expected + ", found " + found);
}

const char* TypeName(int64_t) { return "an integer"; }
const char* TypeName(float) { return "a float"; }
const char* TypeName(const std::string&) { return "a string"; }

template <typename Value>
std::optional<Value> TryRead(const Ort::ConstKernelInfo& info, const char* name) {
  try {
    return info.GetAttribute<Value>(name);
  } catch (const Ort::Exception&) {
    return std::nullopt;
  }
}

template <typename Expected, typename Other>
void RefuseType(const Ort::ConstKernelInfo& info, const char* name) {
  if (TryRead<Other>(info, name)) {
    FailAt(name, TypeName(Expected()), TypeName(Other()));
  }
}

// Nothing where there is no such attribute, which ONNX Runtime tells by an error, as it does one of
// another type.
template <typename Value>
std::optional<Value> Read(const Ort::ConstKernelInfo& info, const char* name) {
  auto value = TryRead<Value>(info, name);
  if (!value) {
    RefuseType<Value, int64_t>(info, name);
    RefuseType<Value, float>(info, name);
    RefuseType<Value, std::string>(info, name);
  }
  return value;
}

int64_t ReadPositive(const Ort::ConstKernelInfo& info, const char* name,
                     std::optional<int64_t> otherwise = std::nullopt) {
  const auto given = Read<int64_t>(info, name);
  const auto value = given ? given : otherwise;
  if (!value || *value <= 0) {
    FailAt(name, "a positive integer", value ? std::to_string(*value) : "none");
  }
  return *value;
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
  shape.num_heads = ReadPositive(info, "num_heads");
  shape.head_dim = ReadPositive(info, "head_dim");
  shape.state_size = ReadPositive(info, "state_size");
  shape.n_groups = ReadPositive(info, "n_groups");
  shape.chunk_size = ReadPositive(info, "chunk_size", 256);
  shape.norm_group_size = ReadPositive(info, "norm_group_size", shape.inner());
  shape.epsilon = Read<float>(info, "epsilon").value_or(1e-5f);
  shape.dt_min = Read<float>(info, "dt_min").value_or(0.0f);
  shape.dt_max = Read<float>(info, "dt_max").value_or(std::numeric_limits<float>::infinity());
  RequireMultiple("num_heads", shape.num_heads, "n_groups", shape.n_groups);
  RequireMultiple("num_heads * head_dim", shape.inner(), "norm_group_size", shape.norm_group_size);
  if (!(shape.dt_min <= shape.dt_max)) {
    throw std::invalid_argument("Mamba2ChunkScan: expected dt_min to be at most dt_max, found " +
                                std::to_string(shape.dt_min) + " and " +
                                std::to_string(shape.dt_max));
  }
  const std::string activation = Read<std::string>(info, "activation").value_or("silu");
  if (activation != "silu") {
    FailAt("activation", "\"silu\"", "\"" + activation + "\"");
  }
  return shape;
}

}  // namespace bamba::ops
