// The stages that choose tokens, run by teams of host threads, against their plain twin.
//
//   sampling_tests_cpu [REPEATS]    steps of each kind and size, 4 by default

#include <cstdlib>
#include <limits>
#include <string>

#include "host_team.h"
#include "sampling_cases.h"
#include "suite.h"

int main(int count, char** arguments) {
  using namespace bamba::tests;
  const int repeats = count > 1 ? std::atoi(arguments[1]) : 4;
  Tally tally;
  for (const int threads : {1, 3}) {
    const auto implementation = [&](const BambaSamplingStep& step) {
      SampleTokensByStages(step, threads);
    };
    const int32_t most_scores = threads == 1 ? std::numeric_limits<int32_t>::max() : 4097;
    RunSampling("a team of " + std::to_string(threads), implementation, most_scores, repeats,
                tally);
  }
  return Finish(tally);
}
