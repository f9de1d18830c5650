#include "cuda_swiglu_kernel.h"

#include "cuda_library.h"
#include "cuda_resources.h"
#include "swiglu_op.h"

namespace bamba::ops {

CudaSwiGluKernel::CudaSwiGluKernel(DataType type) : type_(type), cuda_(LoadCudaKernels()) {}

OrtStatusPtr CudaSwiGluKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    const SwiGluCall call(context, type_);
    const int device = context.GetInput(0).GetTensorMemoryInfo().GetDeviceId();
    RequireCuda("SwiGLU",
                cuda_.swiglu(call.shape, call.tensors, device, context.GetGPUComputeStream()));
  });
}

}  // namespace bamba::ops
