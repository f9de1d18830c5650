// The whole table and all laws, on one implementation.

#ifndef BAMBA_TESTS_SUITE_H_
#define BAMBA_TESTS_SUITE_H_

#include <cstdint>
#include <string>

#include "comparison.h"

namespace bamba::tests {

struct Tally {
  int passed = 0;
  int failed = 0;
};

// Counts a row, and prints its problems after the implementation's name if it has any.
void Report(const std::string& name, const std::string& row, const std::string& problems,
            Tally& tally);

// Runs every row of at most so many tokens, and every law, and prints what failed after the
// implementation's name.
void RunSuite(const std::string& name, Implementation& implementation, int64_t most_tokens,
              Tally& tally);

// Runs the call with more than 2^31 elements, where there is memory for it.
void RunLarge(const std::string& name, Implementation& implementation, Tally& tally);

// Prints the tally; the exit code of a program with it.
int Finish(const Tally& tally);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_SUITE_H_
