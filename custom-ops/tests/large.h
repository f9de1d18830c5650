// A call with more than 2^31 elements of zxbcdt.

#ifndef BAMBA_TESTS_LARGE_H_
#define BAMBA_TESTS_LARGE_H_

#include <string>

#include "comparison.h"

namespace bamba::tests {

// Whether this machine has the memory for it.
bool HasMemoryForLarge();

// Runs rows of which the last begins past 2^31 elements, and compares them with the rows alone.
// Says what differs, or nothing.
std::string CheckLarge(Implementation& implementation);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_LARGE_H_
