// bamba::MatMulNBits as ONNX Runtime sees it: names, types and shapes.

#ifndef BAMBA_OPS_MATMUL_NBITS_OP_H_
#define BAMBA_OPS_MATMUL_NBITS_OP_H_

#include <memory>

#include "element_type.h"
#include "matmul_nbits.h"
#include "ort.h"

namespace bamba::ops {

ONNXTensorElementDataType MatMulNBitsInputType(size_t index, DataType type);
Ort::Status InferMatMulNBitsShapes(Ort::ShapeInferContext& context);

// A shape with what attributes say; what tensors say is still open. Throws std::invalid_argument
// that names the attribute, what was expected and what was found.
MatMulNBitsShape ReadMatMulNBitsAttributes(const OrtKernelInfo* info);

// A call's sizes and operands.
struct MatMulNBitsCall {
  MatMulNBitsShape shape;
  MatMulNBitsTensors tensors;

  // Checks the inputs against the operator's page, and reserves the output. Throws
  // std::invalid_argument that names tensor, axis, what was expected and what was found.
  MatMulNBitsCall(const Ort::KernelContext& context, const MatMulNBitsShape& attributes,
                  DataType type);
};

// The operator for one T. Kernel is a node's kernel: made of the node's info and T, it says its
// provider and computes.
template <typename Kernel>
class MatMulNBitsOp : public Ort::CustomOpBase<MatMulNBitsOp<Kernel>, Kernel, true> {
 public:
  explicit MatMulNBitsOp(DataType type) : type_(type) { this->version = kApiVersion; }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return Guard([&] { *kernel = std::make_unique<Kernel>(info, type_).release(); });
  }

  const char* GetName() const { return "MatMulNBits"; }
  const char* GetExecutionProviderType() const { return Kernel::kProvider; }
  size_t GetInputTypeCount() const { return 4; }
  size_t GetOutputTypeCount() const { return 1; }
  ONNXTensorElementDataType GetInputType(size_t index) const {
    return MatMulNBitsInputType(index, type_);
  }
  ONNXTensorElementDataType GetOutputType(size_t) const { return ElementType(type_); }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return index == 3 ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
  }

  static Ort::Status InferOutputShape(Ort::ShapeInferContext& context) {
    return InferMatMulNBitsShapes(context);
  }

 private:
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_MATMUL_NBITS_OP_H_
