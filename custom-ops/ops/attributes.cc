#include "attributes.h"

#include <limits>
#include <stdexcept>
#include <string>

#include "attribute_reader.h"

namespace bamba::ops {
namespace {

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
  const AttributeReader reader("Mamba2ChunkScan", kernel_info);
  Mamba2Shape shape;
  shape.num_heads = reader.ReadPositive("num_heads");
  shape.head_dim = reader.ReadPositive("head_dim");
  shape.state_size = reader.ReadPositive("state_size");
  shape.n_groups = reader.ReadPositive("n_groups");
  shape.chunk_size = reader.ReadPositive("chunk_size", 256);
  shape.norm_group_size = reader.ReadPositive("norm_group_size", shape.inner());
  shape.epsilon = reader.Read<float>("epsilon").value_or(1e-5f);
  shape.dt_min = reader.Read<float>("dt_min").value_or(0.0f);
  shape.dt_max = reader.Read<float>("dt_max").value_or(std::numeric_limits<float>::infinity());
  RequireMultiple("num_heads", shape.num_heads, "n_groups", shape.n_groups);
  RequireMultiple("num_heads * head_dim", shape.inner(), "norm_group_size", shape.norm_group_size);
  if (!(shape.dt_min <= shape.dt_max)) {
    throw std::invalid_argument("Mamba2ChunkScan: expected dt_min to be at most dt_max, found " +
                                std::to_string(shape.dt_min) + " and " +
                                std::to_string(shape.dt_max));
  }
  const std::string activation = reader.Read<std::string>("activation").value_or("silu");
  if (activation != "silu") {
    reader.FailAt("activation", "\"silu\"", "\"" + activation + "\"");
  }
  return shape;
}

}  // namespace bamba::ops
