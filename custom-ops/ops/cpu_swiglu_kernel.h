// A SwiGLU node's kernel on ONNX Runtime's CPU provider.

#ifndef BAMBA_OPS_CPU_SWIGLU_KERNEL_H_
#define BAMBA_OPS_CPU_SWIGLU_KERNEL_H_

#include "data_type.h"
#include "ort.h"

namespace bamba::ops {

class CpuSwiGluKernel {
 public:
  // ONNX Runtime's name for the CPU provider is none.
  static constexpr const char* kProvider = nullptr;

  explicit CpuSwiGluKernel(DataType type);

  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_SWIGLU_KERNEL_H_
