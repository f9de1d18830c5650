// A MatMulNBits node's kernel on ONNX Runtime's CUDA provider.

#ifndef BAMBA_OPS_CUDA_MATMUL_NBITS_KERNEL_H_
#define BAMBA_OPS_CUDA_MATMUL_NBITS_KERNEL_H_

#include "cuda_entry.h"
#include "data_type.h"
#include "matmul_nbits.h"
#include "ort.h"

namespace bamba::ops {

struct MatMulNBitsCall;

class CudaMatMulNBitsKernel {
 public:
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  CudaMatMulNBitsKernel(const OrtKernelInfo* info, DataType type);

  // Queues the call on ONNX Runtime's stream.
  OrtStatusPtr ComputeV2(OrtKernelContext* context);

 private:
  void MultiplyFewRows(OrtKernelContext* context, const MatMulNBitsCall& call,
                       const OrtMemoryInfo* memory);
  // W is written out as T, and ONNX Runtime multiplies.
  void MultiplyManyRows(OrtKernelContext* context, const MatMulNBitsCall& call,
                        const OrtMemoryInfo* memory);

  MatMulNBitsShape attributes_;
  DataType type_;
  const CudaKernels& cuda_;
  bool constant_weights_;
  Ort::Op gemm_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_MATMUL_NBITS_KERNEL_H_
