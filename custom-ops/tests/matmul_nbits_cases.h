// The table that every implementation of bamba::MatMulNBits is held to.

#ifndef BAMBA_TESTS_MATMUL_NBITS_CASES_H_
#define BAMBA_TESTS_MATMUL_NBITS_CASES_H_

#include <functional>
#include <string>

#include "matmul_nbits.h"
#include "suite.h"

namespace bamba::tests {

using MatMulNBitsFunction = std::function<void(const MatMulNBitsShape&, const MatMulNBitsTensors&)>;

// What an implementation rounds before it multiplies; the operator's page allows for either.
enum class Rounding { kActivations, kWeights };

// Runs the table, each row against the scalar twin, and prints what failed after the
// implementation's name.
//   takes   leaves out rows of the table for which it is false
void RunMatMulNBits(
    const std::string& name, const MatMulNBitsFunction& implementation, Rounding rounding,
    Tally& tally,
    const std::function<bool(const MatMulNBitsShape&)>& takes = [](const auto&) { return true; });

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_MATMUL_NBITS_CASES_H_
