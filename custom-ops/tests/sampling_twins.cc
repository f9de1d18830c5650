// What the tests in C# compare TokenSampler with: the plain twin of the stages that choose tokens,
// and the stages themselves on host threads.

#include "export.h"
#include "host_team.h"
#include "reference/sample_tokens_reference.h"

extern "C" {

BAMBA_EXPORT void BambaSampleTokensByTwin(const BambaSamplingStep* step) {
  bamba::reference::SampleTokens(*step);
}

BAMBA_EXPORT void BambaSampleTokensByStages(const BambaSamplingStep* step, int threads) {
  bamba::tests::SampleTokensByStages(*step, threads);
}

}  // extern "C"
