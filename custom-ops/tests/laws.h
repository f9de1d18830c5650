// What holds of the operator whatever its numbers are.

#ifndef BAMBA_TESTS_LAWS_H_
#define BAMBA_TESTS_LAWS_H_

#include <string>
#include <vector>

#include "comparison.h"

namespace bamba::tests {

struct Law {
  std::string name;
  // What is wrong with an implementation at the sizes of `row`, or nothing.
  std::string (*check)(Case row, Implementation& implementation);
};

std::vector<Law> AllLaws();

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_LAWS_H_
