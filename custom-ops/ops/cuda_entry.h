// What lies between the library that ONNX Runtime loads and the one with the CUDA kernels: the
// first, which every machine loads, needs nothing of CUDA; the second nothing of ONNX Runtime.

#ifndef BAMBA_OPS_CUDA_ENTRY_H_
#define BAMBA_OPS_CUDA_ENTRY_H_

#include <cstddef>

#include "mamba2_chunk_scan.h"
#include "matmul_nbits.h"
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
  // Queues SwiGLU, likewise.
  const char* (*swiglu)(const SwiGluShape& shape, const SwiGluTensors& tensors, int device,
                        void* stream);
  // Whether a call of MatMulNBits has few enough rows for multiply_few_rows.
  bool (*has_few_rows)(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors);
  // Bytes of scratch device memory that such a call needs.
  const char* (*few_rows_workspace_bytes)(const MatMulNBitsShape& shape, int device, size_t& bytes);
  // Queues such a call, likewise. Constant weights are read before work that is queued is done.
  const char* (*multiply_few_rows)(const MatMulNBitsShape& shape, const MatMulNBitsTensors& tensors,
                                   bool constant_weights, void* workspace, int device,
                                   void* stream);
  // Queues the writing of W to weights, T [columns, depth].
  const char* (*dequantize_weights)(const MatMulNBitsShape& shape,
                                    const MatMulNBitsTensors& tensors, void* weights, void* stream);
};

// The function that the library exports; its name changes when anything here, in
// mamba2_chunk_scan.h, matmul_nbits.h or swiglu.h does, so that libraries of two versions don't
// meet.
using CudaEntry = const CudaKernels* (*)();
constexpr char kCudaEntry[] = "BambaCudaKernels_4";

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_ENTRY_H_
