// Random rows of scores and options, and what every implementation must choose from them.

#ifndef BAMBA_TESTS_SAMPLING_CASES_H_
#define BAMBA_TESTS_SAMPLING_CASES_H_

#include <functional>
#include <string>

#include "sample_tokens.h"
#include "suite.h"

namespace bamba::tests {

// Runs a step whose pointers are host memory; the workspace is the implementation's own.
using SampleTokensFunction = std::function<void(const BambaSamplingStep&)>;

// Runs the table, each row against the plain twin, and prints what failed after the
// implementation's name.
//   most_scores   leaves out vocabularies of more
//   repeats       steps of each kind
void RunSampling(const std::string& name, const SampleTokensFunction& implementation,
                 int32_t most_scores, int repeats, Tally& tally);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_SAMPLING_CASES_H_
