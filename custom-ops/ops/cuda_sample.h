// What a host program calls of the library of CUDA kernels to choose tokens on a device. C# finds
// the functions by name and lays the structs out alike; the names end in a number that changes when
// a struct or the meaning of anything here does.

#ifndef BAMBA_OPS_CUDA_SAMPLE_H_
#define BAMBA_OPS_CUDA_SAMPLE_H_

#include <cstddef>
#include <cstdint>

#include "export.h"
#include "sample_tokens.h"

extern "C" {

// Bytes of device memory, aligned to 16, that steps of these sizes need as their workspace; 0 if
// no step has such sizes.
BAMBA_EXPORT size_t BambaSampleTokensWorkspace_1(int32_t rows, int32_t vocab);

// Queues a step on a stream (a cudaStream_t) of a device, whichever device is current. Gives null,
// or says what CUDA says is wrong. Neither allocates nor waits, so a capturing stream takes it.
BAMBA_EXPORT const char* BambaSampleTokens_1(const BambaSamplingStep* step, int device,
                                             void* stream);

}  // extern "C"

#endif  // BAMBA_OPS_CUDA_SAMPLE_H_
