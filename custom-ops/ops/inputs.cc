#include "inputs.h"

#include <string>

#include "element_type.h"
#include "input_reader.h"

namespace bamba::ops {
namespace {

constexpr char kOp[] = "Mamba2ChunkScan";

[[noreturn]] void Fail(const std::string& problem) { FailOf(kOp, problem); }

// zxbcdt gives B and L.
void ReadTokens(const InputReader& reader, DataType type, Inputs& inputs) {
  Mamba2Shape& shape = inputs.shape;
  const Input input = reader.Read(0, "zxbcdt");
  input.Require(ElementType(type),
                {{"B", kAny}, {"L", kAny}, {"2 E + 2 G N + H", shape.projected()}});
  shape.data_type = type;
  shape.batch = input.sizes[0];
  shape.length = input.sizes[1];
  inputs.tensors.zxbcdt = input.data();
}

// conv_weight gives K.
void ReadWeights(const InputReader& reader, Inputs& inputs) {
  Mamba2Shape& shape = inputs.shape;
  const Axis channels = {"Cd", shape.conv_channels()};
  const Axis heads = {"H", shape.num_heads};
  const Input weight = reader.Read(1, "conv_weight");
  weight.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, {channels, {"K", kAny}});
  shape.conv_width = weight.sizes[1];
  if (shape.conv_width < 2) {
    Fail("conv_weight: axis 1 (K): expected at least 2, found " + std::to_string(shape.conv_width));
  }
  inputs.tensors.conv_weight = static_cast<const float*>(weight.data());
  inputs.tensors.conv_bias = reader.ReadFloats(2, "conv_bias", {channels});
  inputs.tensors.a_log = reader.ReadFloats(3, "A_log", {heads});
  inputs.tensors.d = reader.ReadFloats(4, "D", {heads});
  inputs.tensors.dt_bias = reader.ReadFloats(5, "dt_bias", {heads});
  inputs.tensors.norm_weight = reader.ReadFloats(6, "norm_weight", {{"E", shape.inner()}});
}

void ReadLengths(const InputReader& reader, Inputs& inputs) {
  Mamba2Shape& shape = inputs.shape;
  const Input lengths = reader.Read(9, "seq_lens");
  lengths.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, {{"B", shape.batch}});
  inputs.tensors.seq_lens = static_cast<const int32_t*>(lengths.data());
  shape.num_sequences = shape.batch;
  if (reader.Has(10)) {
    const Input bounds = reader.Read(10, "cu_seqlens");
    bounds.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, {{"S + 1", kAny}});
    if (bounds.sizes[0] < 1) {
      Fail("cu_seqlens: axis 0 (S + 1): expected at least 1, found 0");
    }
    if (shape.batch != 1) {
      Fail("zxbcdt: axis 0 (B): expected 1 in the packed form, found " +
           std::to_string(shape.batch));
    }
    shape.num_sequences = bounds.sizes[0] - 1;
    inputs.tensors.cu_seqlens = static_cast<const int32_t*>(bounds.data());
  }
  if (reader.Has(11)) {
    if (inputs.tensors.cu_seqlens == nullptr) {
      Fail("state_indices: expected none without cu_seqlens, found a tensor");
    }
    const Input rows = reader.Read(11, "state_indices");
    rows.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, {{"S", shape.num_sequences}});
    inputs.tensors.state_indices = static_cast<const int32_t*>(rows.data());
  }
}

// The conv state gives R.
void ReadStates(const InputReader& reader, Inputs& inputs) {
  Mamba2Shape& shape = inputs.shape;
  const bool packed = inputs.tensors.cu_seqlens != nullptr;
  const Axis rows = {"R", packed ? kAny : shape.batch};
  const Input conv = reader.Read(7, "past_conv_state");
  conv.Require(ElementType(shape.data_type),
               {rows, {"Cd", shape.conv_channels()}, {"K - 1", shape.conv_width - 1}});
  shape.state_rows = conv.sizes[0];
  inputs.tensors.past_conv_state = conv.data();
  inputs.tensors.past_recurrent_state = reader.ReadFloats(8, "past_recurrent_state",
                                                          {{"R", shape.state_rows},
                                                           {"H", shape.num_heads},
                                                           {"P", shape.head_dim},
                                                           {"N", shape.state_size}});
  if (inputs.tensors.state_indices == nullptr && shape.num_sequences > shape.state_rows) {
    Fail("past_conv_state: axis 0 (R): expected a row for each of " +
         std::to_string(shape.num_sequences) + " sequences, found " +
         std::to_string(shape.state_rows));
  }
}

}  // namespace

Inputs::Inputs(const Ort::KernelContext& context, const Mamba2Shape& attributes, DataType type)
    : shape(attributes) {
  const InputReader reader(kOp, context);
  ReadTokens(reader, type, *this);
  ReadWeights(reader, *this);
  ReadLengths(reader, *this);
  ReadStates(reader, *this);
}

std::vector<int64_t> Inputs::YShape() const { return {shape.batch, shape.length, shape.inner()}; }

std::vector<int64_t> Inputs::ConvStateShape() const {
  return {shape.state_rows, shape.conv_channels(), shape.conv_width - 1};
}

std::vector<int64_t> Inputs::RecurrentStateShape() const {
  return {shape.state_rows, shape.num_heads, shape.head_dim, shape.state_size};
}

void Inputs::CheckLengths() const {
  const auto require = [](const char* name, int64_t index, int64_t value, int64_t low,
                          int64_t high) {
    if (value < low || value > high) {
      Fail(std::string(name) + "[" + std::to_string(index) + "]: expected " + std::to_string(low) +
           " to " + std::to_string(high) + ", found " + std::to_string(value));
    }
  };
  for (int64_t b = 0; b < shape.batch; ++b) {
    require("seq_lens", b, tensors.seq_lens[b], 0, shape.length);
  }
  if (tensors.cu_seqlens == nullptr) {
    return;
  }
  require("cu_seqlens", 0, tensors.cu_seqlens[0], 0, 0);
  std::vector<bool> taken(shape.state_rows, false);
  for (int64_t s = 0; s < shape.num_sequences; ++s) {
    require("cu_seqlens", s + 1, tensors.cu_seqlens[s + 1], tensors.cu_seqlens[s],
            tensors.seq_lens[0]);
    const int64_t row = tensors.state_indices == nullptr ? s : tensors.state_indices[s];
    require("state_indices", s, row, 0, shape.state_rows - 1);
    if (taken[row]) {
      Fail("state_indices[" + std::to_string(s) + "]: expected a row of its own, found " +
           std::to_string(row) + " a second time");
    }
    taken[row] = true;
  }
}

void TakeOutputs(const Ort::KernelContext& context, Inputs& inputs) {
  inputs.tensors.y = context.GetOutput(0, inputs.YShape()).GetTensorMutableRawData();
  inputs.tensors.present_conv_state =
      context.GetOutput(1, inputs.ConvStateShape()).GetTensorMutableRawData();
  inputs.tensors.present_recurrent_state =
      context.GetOutput(2, inputs.RecurrentStateShape()).GetTensorMutableData<float>();
}

}  // namespace bamba::ops
