#include "cuda_swiglu_kernel.h"

#include <stdexcept>
#include <string>

#include "cuda_library.h"
#include "swiglu_op.h"

namespace bamba::ops {

CudaSwiGluKernel::CudaSwiGluKernel(DataType type) : type_(type), cuda_(LoadCudaKernels()) {}

OrtStatusPtr CudaSwiGluKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    const SwiGluCall call(context, type_);
    if (const char* problem =
            cuda_.swiglu(call.shape, call.tensors, context.GetGPUComputeStream())) {
      throw std::runtime_error(std::string("SwiGLU: CUDA: ") + problem);
    }
  });
}

}  // namespace bamba::ops
