#include "cuda_scan_kernel.h"

#include "attributes.h"
#include "cuda_library.h"
#include "cuda_resources.h"
#include "inputs.h"

namespace bamba::ops {
namespace {

constexpr char kOp[] = "Mamba2ChunkScan";

}  // namespace

CudaScanKernel::CudaScanKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadAttributes(info)), type_(type), cuda_(LoadCudaKernels()) {}

OrtStatusPtr CudaScanKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    Inputs inputs(context, attributes_, type_);
    TakeOutputs(context, inputs);
    const Ort::ConstMemoryInfo memory = context.GetInput(0).GetTensorMemoryInfo();
    const int device = memory.GetDeviceId();
    size_t bytes = 0;
    RequireCuda(kOp, cuda_.scan_workspace_bytes(inputs.shape, device, bytes));
    const CudaScratch workspace(ort_context, memory, bytes);
    RequireCuda(kOp, cuda_.scan(inputs.shape, inputs.tensors, workspace.data(), device,
                                context.GetGPUComputeStream()));
  });
}

}  // namespace bamba::ops
