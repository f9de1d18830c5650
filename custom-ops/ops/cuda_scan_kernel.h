// A Mamba2ChunkScan node's kernel on ONNX Runtime's CUDA provider.

#ifndef BAMBA_OPS_CUDA_SCAN_KERNEL_H_
#define BAMBA_OPS_CUDA_SCAN_KERNEL_H_

#include "cuda_entry.h"
#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

class CudaScanKernel {
 public:
  static constexpr const char* kProvider = "CUDAExecutionProvider";

  CudaScanKernel(const OrtKernelInfo* info, DataType type);

  // Queues the call on ONNX Runtime's stream. Lengths stay on the device, so that their values are
  // the caller's duty.
  OrtStatusPtr ComputeV2(OrtKernelContext* context) const;

 private:
  Mamba2Shape attributes_;
  DataType type_;
  const CudaKernels& cuda_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_SCAN_KERNEL_H_
