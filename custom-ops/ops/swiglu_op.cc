#include "swiglu_op.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

namespace bamba::ops {
namespace {

[[noreturn]] void Fail(const std::string& problem) {
  throw std::invalid_argument("SwiGLU: x: " + problem);
}

}  // namespace

// Says nothing where an axis has neither a size nor a name: ONNX Runtime would take its mark for
// such an axis, -1, as the size. What is wrong with the last axis, the kernel says.
Ort::Status InferSwiGluShapes(Ort::ShapeInferContext& context) {
  auto shape = context.GetInputShape(0);
  const bool known = std::all_of(shape.begin(), shape.end(), [](const auto& axis) {
    return !axis.IsInt() || axis.AsInt() >= 0;
  });
  if (!known || shape.empty() || !shape.back().IsInt() || shape.back().AsInt() % 2 != 0) {
    return Ort::Status{nullptr};
  }
  shape.back() = shape.back().AsInt() / 2;
  return context.SetOutputShape(0, shape);
}

SwiGluCall::SwiGluCall(const Ort::KernelContext& context, DataType type) {
  const Ort::ConstValue x = context.GetInput(0);
  std::vector<int64_t> sizes = x.GetTensorTypeAndShapeInfo().GetShape();
  if (sizes.empty()) {
    Fail("expected rank 1 or more, found rank 0");
  }
  if (sizes.back() % 2 != 0) {
    Fail("axis " + std::to_string(sizes.size() - 1) + " (2 I): expected a multiple of 2, found " +
         std::to_string(sizes.back()));
  }
  shape.data_type = type;
  shape.width = sizes.back() / 2;
  shape.rows = 1;
  for (size_t i = 0; i + 1 < sizes.size(); ++i) {
    shape.rows *= sizes[i];
  }
  sizes.back() = shape.width;
  tensors.x = x.GetTensorRawData();
  tensors.y = context.GetOutput(0, sizes).GetTensorMutableRawData();
}

}  // namespace bamba::ops
