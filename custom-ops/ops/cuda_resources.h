// ONNX Runtime's own memory and stream, for kernels on its CUDA provider.

#ifndef BAMBA_OPS_CUDA_RESOURCES_H_
#define BAMBA_OPS_CUDA_RESOURCES_H_

#include <cstddef>
#include <stdexcept>
#include <string>

#include "ort.h"

namespace bamba::ops {

// Throws what CUDA says is wrong with a call of an operator, if anything.
inline void RequireCuda(const char* op, const char* problem) {
  if (problem != nullptr) {
    throw std::runtime_error(std::string(op) + ": CUDA: " + problem);
  }
}

// Scratch memory of ONNX Runtime's, bound to the call's stream: given back here while the kernels
// still run, it goes only to work that is queued behind them.
class CudaScratch {
 public:
  CudaScratch(OrtKernelContext* context, const OrtMemoryInfo* memory, size_t bytes)
      : allocator_(Ort::KernelContext(context).GetAllocator(*memory)) {
    Ort::ThrowOnError(Ort::GetApi().KernelContext_GetScratchBuffer(context, memory, bytes, &data_));
  }
  ~CudaScratch() { allocator_.Free(data_); }
  CudaScratch(const CudaScratch&) = delete;
  CudaScratch& operator=(const CudaScratch&) = delete;

  void* data() const { return data_; }

 private:
  Ort::Allocator allocator_;
  void* data_ = nullptr;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_RESOURCES_H_
