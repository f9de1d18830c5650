// bamba::Mamba2ChunkScan as an operator of ONNX Runtime's CPU provider, one for each T.

#ifndef BAMBA_OPS_CPU_OP_H_
#define BAMBA_OPS_CPU_OP_H_

#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

// A node's kernel.
class CpuKernel {
 public:
  CpuKernel(const OrtKernelInfo* info, DataType type);

  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  Mamba2Shape attributes_;
  DataType type_;
};

class CpuOp : public Ort::CustomOpBase<CpuOp, CpuKernel, true> {
 public:
  explicit CpuOp(DataType type);

  OrtStatusPtr CreateKernelV2(const OrtApi& api, const OrtKernelInfo* info, void** kernel) const;

  const char* GetName() const { return "Mamba2ChunkScan"; }
  const char* GetExecutionProviderType() const { return nullptr; }
  size_t GetInputTypeCount() const { return 12; }
  size_t GetOutputTypeCount() const { return 3; }
  ONNXTensorElementDataType GetInputType(size_t index) const;
  ONNXTensorElementDataType GetOutputType(size_t index) const;
  OrtCustomOpInputOutputCharacteristic GetInputCharacteristic(size_t index) const;

  static Ort::Status InferOutputShape(Ort::ShapeInferContext& context);

 private:
  ONNXTensorElementDataType element_type() const;

  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_OP_H_
