// A call's inputs, checked against the operator's page.

#ifndef BAMBA_OPS_INPUTS_H_
#define BAMBA_OPS_INPUTS_H_

#include <vector>

#include "mamba2_chunk_scan.h"
#include "ort.h"

namespace bamba::ops {

// The call's whole shape and its input pointers; outputs are still open. `attributes` is what
// ReadAttributes gave. Throws std::invalid_argument that names tensor, axis, what was expected and
// what was found.
struct Inputs {
  Mamba2Shape shape;
  Mamba2Tensors tensors;

  Inputs(const Ort::KernelContext& context, const Mamba2Shape& attributes, DataType type);

  std::vector<int64_t> YShape() const;
  std::vector<int64_t> ConvStateShape() const;
  std::vector<int64_t> RecurrentStateShape() const;

  // Checks the values of lengths, bounds and rows, where they are on the host.
  void CheckLengths() const;
};

// Reserves the outputs and fills in their pointers.
void TakeOutputs(const Ort::KernelContext& context, Inputs& inputs);

}  // namespace bamba::ops

#endif  // BAMBA_OPS_INPUTS_H_
