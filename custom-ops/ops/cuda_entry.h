// What lies between the library that ONNX Runtime loads and the one with the CUDA kernels: the
// first, which every machine loads, needs nothing of CUDA; the second nothing of ONNX Runtime.

#ifndef BAMBA_OPS_CUDA_ENTRY_H_
#define BAMBA_OPS_CUDA_ENTRY_H_

#include <cstddef>

#include "mamba2_chunk_scan.h"
#include "swiglu.h"

namespace bamba::ops {

// The kernels. Each function gives null, or says what CUDA says is wrong; a stream is one of the
// current device, and what is queued there is done when the stream comes to it.
struct CudaKernels {
  // Bytes of scratch device memory that a call of Mamba2ChunkScan on a device needs.
  const char* (*scan_workspace_bytes)(const Mamba2Shape& shape, int device, size_t& bytes);
  // Queues Mamba2ChunkScan; the current device is `device`.
  const char* (*scan)(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                      int device, void* stream);
  // Queues SwiGLU.
  const char* (*swiglu)(const SwiGluShape& shape, const SwiGluTensors& tensors, void* stream);
};

// The function that the library exports; its name changes when anything here, in
// mamba2_chunk_scan.h or in swiglu.h does, so that libraries of two versions don't meet.
using CudaEntry = const CudaKernels* (*)();
constexpr char kCudaEntry[] = "BambaCudaKernels_2";

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_ENTRY_H_
