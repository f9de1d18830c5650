// A SwiGLU node's kernel on ONNX Runtime's CUDA provider.

#ifndef BAMBA_OPS_CUDA_SWIGLU_KERNEL_H_
#define BAMBA_OPS_CUDA_SWIGLU_KERNEL_H_

#include "cuda_entry.h"
#include "data_type.h"
#include "ort.h"

namespace bamba::ops {

class CudaSwiGluKernel {
 public:
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  explicit CudaSwiGluKernel(DataType type);

  // Queues the call on ONNX Runtime's stream.
  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  DataType type_;
  const CudaKernels& cuda_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_SWIGLU_KERNEL_H_
