// Compares an implementation's outputs with the scalar twin's.

#ifndef BAMBA_TESTS_COMPARISON_H_
#define BAMBA_TESTS_COMPARISON_H_

#include <string>

#include "cases.h"

namespace bamba::tests {

// An implementation of the operator: takes pointers to host memory, whatever it does with them.
struct Implementation {
  virtual ~Implementation() = default;
  virtual void Run(const Mamba2Shape& shape, const Mamba2Tensors& tensors) = 0;
};

// Runs one row, and says what is wrong with it, or nothing.
std::string Check(const Case& row, Implementation& implementation);

// The largest difference of y and of the recurrent state, relative to the largest value of the
// head: 1e-4 for float32, 2e-3 for float16, 1e-2 for bfloat16.
double Tolerance(DataType type);

// What differs between two runs of the same sizes, or nothing.
std::string Differences(const Problem& actual, const Problem& expected, double tolerance);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_COMPARISON_H_
