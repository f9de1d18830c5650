// Loads the library of CUDA kernels, when the first kernel on the CUDA provider is made and not
// before.

#ifndef BAMBA_OPS_CUDA_LIBRARY_H_
#define BAMBA_OPS_CUDA_LIBRARY_H_

#include "cuda_entry.h"

namespace bamba::ops {

// The kernels of bamba_ops_cuda, which lies beside this library; loaded once a process. Throws
// std::runtime_error that names the file and says why it cannot be loaded.
const CudaKernels& LoadCudaKernels();

}  // namespace bamba::ops

#endif  // BAMBA_OPS_CUDA_LIBRARY_H_
