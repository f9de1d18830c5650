#include "scan_op.h"

#include <algorithm>

#include "element_type.h"

namespace bamba::ops {
namespace {

// E, or -1 where an attribute is missing: the kernel refuses that by the attribute's name, which
// ONNX Runtime's error doesn't tell.
int64_t Inner(Ort::ShapeInferContext& context) {
  try {
    return context.GetAttrInt("num_heads") * context.GetAttrInt("head_dim");
  } catch (const Ort::Exception&) {
    return -1;
  }
}

}  // namespace

ONNXTensorElementDataType InputType(size_t index, DataType type) {
  // zxbcdt and past_conv_state are T; the last three are lengths and rows.
  if (index == 0 || index == 7) {
    return ElementType(type);
  }
  return index >= 9 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

ONNXTensorElementDataType OutputType(size_t index, DataType type) {
  return index == 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : ElementType(type);
}

OrtCustomOpInputOutputCharacteristic InputCharacteristic(size_t index) {
  return index >= 10 ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
}

// Says nothing of an output with an axis that has neither a size nor a name: ONNX Runtime would
// take its mark for such an axis, -1, as the size.
Ort::Status InferShapes(Ort::ShapeInferContext& context) {
  using Shape = Ort::ShapeInferContext::Shape;
  const auto set = [&context](size_t index, const Shape& shape) {
    const bool known = std::all_of(shape.begin(), shape.end(), [](const auto& axis) {
      return !axis.IsInt() || axis.AsInt() >= 0;
    });
    return known && !shape.empty() ? context.SetOutputShape(index, shape) : Ort::Status{nullptr};
  };
  Shape y = context.GetInputShape(0);
  if (y.size() == 3) {
    y[2] = Inner(context);
    if (Ort::Status status = set(0, y); !status.IsOK()) {
      return status;
    }
  }
  if (Ort::Status status = set(1, context.GetInputShape(7)); !status.IsOK()) {
    return status;
  }
  return set(2, context.GetInputShape(8));
}

}  // namespace bamba::ops
