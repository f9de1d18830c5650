// A MatMulNBits node's kernel on ONNX Runtime's CPU provider.

#ifndef BAMBA_OPS_CPU_MATMUL_NBITS_KERNEL_H_
#define BAMBA_OPS_CPU_MATMUL_NBITS_KERNEL_H_

#include "matmul_nbits.h"
#include "ort.h"

namespace bamba::ops {

class CpuMatMulNBitsKernel {
 public:
  // ONNX Runtime's name for the CPU provider is none.
  static constexpr const char* kProvider = nullptr;

  CpuMatMulNBitsKernel(const OrtKernelInfo* info, DataType type);

  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  MatMulNBitsShape attributes_;
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_MATMUL_NBITS_KERNEL_H_
