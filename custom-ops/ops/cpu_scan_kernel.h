// A Mamba2ChunkScan node's kernel on ONNX Runtime's CPU provider.

#ifndef BAMBA_OPS_CPU_SCAN_KERNEL_H_
#define BAMBA_OPS_CPU_SCAN_KERNEL_H_

#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

class CpuScanKernel {
 public:
  // ONNX Runtime's name for the CPU provider is none.
  static constexpr const char* kProvider = nullptr;

  CpuScanKernel(const OrtKernelInfo* info, DataType type);

  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  Mamba2Shape attributes_;
  DataType type_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CPU_SCAN_KERNEL_H_
