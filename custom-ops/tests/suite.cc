#include "suite.h"

#include <cstdio>

#include "large.h"
#include "laws.h"

namespace bamba::tests {
void Report(const std::string& name, const std::string& row, const std::string& problems,
            Tally& tally) {
  ++(problems.empty() ? tally.passed : tally.failed);
  if (!problems.empty()) {
    std::printf("FAILED %s, %s: %s\n", name.c_str(), row.c_str(), problems.c_str());
  }
}

void RunSuite(const std::string& name, Implementation& implementation, int64_t most_tokens,
              Tally& tally) {
  for (const Case& row : AllCases()) {
    if (row.shape.batch * row.shape.length <= most_tokens) {
      Report(name, row.name, Check(row, implementation), tally);
    }
  }
  for (const Law& law : AllLaws()) {
    for (const Case& base : BaseCases()) {
      Report(name, base.name + ", " + law.name, law.check(base, implementation), tally);
    }
  }
}

void RunLarge(const std::string& name, Implementation& implementation, Tally& tally) {
  if (!HasMemoryForLarge()) {
    std::printf("skipped %s, more than 2^31 elements: too little memory is free\n", name.c_str());
    return;
  }
  Report(name, "more than 2^31 elements", CheckLarge(implementation), tally);
}

int Finish(const Tally& tally) {
  std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}

}  // namespace bamba::tests
