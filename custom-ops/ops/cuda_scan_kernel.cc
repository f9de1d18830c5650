#include "cuda_scan_kernel.h"

#include <memory>
#include <stdexcept>
#include <string>

#include "attributes.h"
#include "cuda_library.h"
#include "inputs.h"

namespace bamba::ops {
namespace {

void Require(const char* problem) {
  if (problem != nullptr) {
    throw std::runtime_error(std::string("Mamba2ChunkScan: CUDA: ") + problem);
  }
}

// Scratch memory of ONNX Runtime's, bound to the call's stream: given back here while the kernels
// still run, it goes only to work that is queued behind them.
class Scratch {
 public:
  Scratch(OrtKernelContext* context, const OrtMemoryInfo* memory, size_t bytes)
      : allocator_(Ort::KernelContext(context).GetAllocator(*memory)) {
    Ort::ThrowOnError(Ort::GetApi().KernelContext_GetScratchBuffer(context, memory, bytes, &data_));
  }
  ~Scratch() { allocator_.Free(data_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* data() const { return data_; }

 private:
  Ort::Allocator allocator_;
  void* data_ = nullptr;
};

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
    Require(cuda_.scan_workspace_bytes(inputs.shape, device, bytes));
    const Scratch workspace(ort_context, memory, bytes);
    Require(cuda_.scan(inputs.shape, inputs.tensors, workspace.data(), device,
                       context.GetGPUComputeStream()));
  });
}

}  // namespace bamba::ops
