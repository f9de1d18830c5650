// What lies between the library that ONNX Runtime loads and the one with the CUDA kernels: the
// first, which every machine loads, needs nothing of CUDA; the second nothing of ONNX Runtime.

#ifndef BAMBA_OPS_CUDA_SCAN_H_
#define BAMBA_OPS_CUDA_SCAN_H_

#include <cstddef>

#include "mamba2_chunk_scan.h"

namespace bamba::ops {

// Each function gives null, or says what CUDA says is wrong.
struct CudaScan {
  // Bytes of scratch device memory that a call on a device needs.
  const char* (*workspace_bytes)(const Mamba2Shape& shape, int device, size_t& bytes);
  // Queues the operator on a stream of the current device, which is `device`.
  const char* (*run)(const Mamba2Shape& shape, const Mamba2Tensors& tensors, void* workspace,
                     int device, void* stream);
};

// The function that the library exports; its name changes when anything here or in
// mamba2_chunk_scan.h does, so that libraries of two versions don't meet.
using CudaScanEntry = const CudaScan* (*)();
constexpr char kCudaScanEntry[] = "BambaCudaScan_1";

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_SCAN_H_
