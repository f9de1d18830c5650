// The table that every implementation of bamba::SwiGLU is held to.

#ifndef BAMBA_TESTS_SWIGLU_CASES_H_
#define BAMBA_TESTS_SWIGLU_CASES_H_

#include <functional>
#include <string>

#include "suite.h"
#include "swiglu.h"

namespace bamba::tests {

// Runs a call whose pointers are host memory. An implementation on a device gives its copies
// addresses that are as far from a multiple of 16 as the host's.
using SwiGluFunction = std::function<void(const SwiGluShape&, const SwiGluTensors&)>;

// Runs the table, each row against the scalar twin, and prints what failed after the
// implementation's name.
//   large   whether to run the call with more than 2^31 elements too, where there is memory for it
void RunSwiGlu(const std::string& name, const SwiGluFunction& implementation, bool large,
               Tally& tally);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_SWIGLU_CASES_H_
