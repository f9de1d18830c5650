// bamba::SwiGLU as ONNX Runtime sees it: names, types and shapes, the same on every provider.

#ifndef BAMBA_OPS_SWIGLU_OP_H_
#define BAMBA_OPS_SWIGLU_OP_H_

#include <memory>

#include "element_type.h"
#include "ort.h"
#include "swiglu.h"

namespace bamba::ops {

Ort::Status InferSwiGluShapes(Ort::ShapeInferContext& context);

// A call's sizes and operands.
struct SwiGluCall {
  SwiGluShape shape;
  SwiGluTensors tensors;

  // Checks the input against the operator's page, and reserves the output. Throws
  // std::invalid_argument that names tensor, axis, what was expected and what was found.
  SwiGluCall(const Ort::KernelContext& context, DataType type);
};

// The operator for one T on one provider. Kernel is a node's kernel there: made of T, it says its
// provider and computes.
template <typename Kernel>
class SwiGluOp : public Ort::CustomOpBase<SwiGluOp<Kernel>, Kernel, true> {
 public:
  explicit SwiGluOp(DataType type) : type_(type) { this->version = kApiVersion; }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo*, void** kernel) const {
    return Guard([&] { *kernel = std::make_unique<Kernel>(type_).release(); });
  }

  const char* GetName() const { return "SwiGLU"; }
  const char* GetExecutionProviderType() const { return Kernel::kProvider; }
  size_t GetInputTypeCount() const { return 1; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetInputType(size_t) const { return ElementType(type_); }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ElementType(type_); }

  static Ort::Status InferOutputShape(Ort::ShapeInferContext& context) {
    return InferSwiGluShapes(context);
  }

 private:
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_SWIGLU_OP_H_
