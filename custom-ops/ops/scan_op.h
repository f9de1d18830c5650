// bamba::Mamba2ChunkScan as ONNX Runtime sees it: names, types and shapes, the same on every
// provider.

#ifndef BAMBA_OPS_SCAN_OP_H_
#define BAMBA_OPS_SCAN_OP_H_

#include <memory>

#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

// Inputs and outputs as the operator's page numbers them, T being `type`.
ONNXTensorElementDataType InputType(size_t index, DataType type);
ONNXTensorElementDataType OutputType(size_t index, DataType type);
OrtCustomOpInputOutputCharacteristic InputCharacteristic(size_t index);
Ort::Status InferShapes(Ort::ShapeInferContext& context);

// The operator for one T on one provider. Kernel is a node's kernel there: made of the node's info
// and T, it says its provider and computes.
template <typename Kernel>
class ScanOp : public Ort::CustomOpBase<ScanOp<Kernel>, Kernel, true> {
 public:
  explicit ScanOp(DataType type) : type_(type) { this->version = kApiVersion; }

  OrtStatusPtr CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
    return Guard([&] { *kernel = std::make_unique<Kernel>(info, type_).release(); });
  }

  const char* GetName() const { return "Mamba2ChunkScan"; }
  const char* GetExecutionProviderType() const { return Kernel::kProvider; }
  size_t GetInputTypeCount() const { return 12; }
  size_t GetOutputTypeCount() const { return 3; }
  ONNXTensorElementDataType GetInputType(size_t index) const { return InputType(index, type_); }
  ONNXTensorElementDataType GetOutputType(size_t index) const { return OutputType(index, type_); }
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const {
    return InputCharacteristic(index);
  }

  static Ort::Status InferOutputShape(Ort::ShapeInferContext& context) {
    return InferShapes(context);
  }

 private:
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_SCAN_OP_H_
