#include "suite.h"

#include <cstdio>

#include "laws.h"

namespace bamba::tests {

void RunSuite(const std::string& name, Implementation& implementation, int64_t most_tokens,
              Tally& tally) {
  const auto report = [&](const std::string& row, const std::string& problems) {
    ++(problems.empty() ? tally.passed : tally.failed);
    if (!problems.empty()) {
      std::printf("FAILED %s, %s: %s\n", name.c_str(), row.c_str(), problems.c_str());
    }
  };
  for (const Case& row : AllCases()) {
    if (row.shape.batch * row.shape.length <= most_tokens) {
      report(row.name, Check(row, implementation));
    }
  }
  for (const Law& law : AllLaws()) {
    for (const Case& base : BaseCases()) {
      report(base.name + ", " + law.name, law.check(base, implementation));
    }
  }
}

int Finish(const Tally& tally) {
  std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}

}  // namespace bamba::tests
