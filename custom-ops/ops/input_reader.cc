#include "input_reader.h"

#include <stdexcept>

namespace bamba::ops {

void FailOf(const char* op, const std::string& problem) {
  throw std::invalid_argument(std::string(op) + ": " + problem);
}

std::string NameOf(ONNXTensorElementDataType type) {
  switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
      return "float32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
      return "float16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
      return "bfloat16";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
      return "int32";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
      return "int64";
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8:
      return "uint8";
    default:
      return "element type " + std::to_string(type);
  }
}

ONNXTensorElementDataType Input::type() const {
  return value.GetTensorTypeAndShapeInfo().GetElementType();
}

void Input::RequireType(ONNXTensorElementDataType expected) const {
  const auto found = type();
  if (found != expected) {
    FailOf(op, std::string(name) + ": expected " + NameOf(expected) + ", found " + NameOf(found));
  }
}

void Input::RequireAxes(std::initializer_list<Axis> axes) const {
  if (sizes.size() != axes.size()) {
    FailOf(op, std::string(name) + ": expected rank " + std::to_string(axes.size()) +
                   ", found rank " + std::to_string(sizes.size()));
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    RequireSize(i, axes.begin()[i]);
  }
}

void Input::Require(ONNXTensorElementDataType expected, std::initializer_list<Axis> axes) const {
  RequireType(expected);
  RequireAxes(axes);
}

void Input::RequireSize(size_t index, const Axis& axis) const {
  if (axis.size != kAny && axis.size != sizes[index]) {
    FailOf(op, std::string(name) + ": axis " + std::to_string(index) + " (" + axis.name +
                   "): expected " + std::to_string(axis.size) + ", found " +
                   std::to_string(sizes[index]));
  }
}

bool InputReader::Has(size_t index) const {
  return index < context_.GetInputCount() && context_.GetInput(index) != nullptr;
}

Input InputReader::Read(size_t index, const char* name) const {
  if (!Has(index)) {
    FailOf(op_, std::string(name) + ": expected a tensor, found none");
  }
  Input input = {op_, name, context_.GetInput(index), {}};
  input.sizes = input.value.GetTensorTypeAndShapeInfo().GetShape();
  return input;
}

const float* InputReader::ReadFloats(size_t index, const char* name,
                                     std::initializer_list<Axis> axes) const {
  const Input input = Read(index, name);
  input.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, axes);
  return static_cast<const float*>(input.data());
}

}  // namespace bamba::ops
