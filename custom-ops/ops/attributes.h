// The operator's attributes, read and checked once when a session makes a kernel.

#ifndef BAMBA_OPS_ATTRIBUTES_H_
#define BAMBA_OPS_ATTRIBUTES_H_

#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

// A shape with what attributes say; what tensors say is still open. norm_group_size has its
// default. Throws std::invalid_argument that names the attribute, what was expected and what was
// found.
Mamba2Shape ReadAttributes(const OrtKernelInfo* info);

}  // namespace bamba::ops

#endif  // BAMBA_OPS_ATTRIBUTES_H_
