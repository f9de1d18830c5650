// The plain twin of the stages that choose tokens: sorts, sums in order, and shares no selection
// with them, to compare with.

#ifndef BAMBA_KERNELS_REFERENCE_SAMPLE_TOKENS_REFERENCE_H_
#define BAMBA_KERNELS_REFERENCE_SAMPLE_TOKENS_REFERENCE_H_

#include "sample_tokens.h"

namespace bamba::reference {

// Every pointer of the step is host memory; the workspace is not used.
void SampleTokens(const BambaSamplingStep& step);

}  // namespace bamba::reference

#endif  // BAMBA_KERNELS_REFERENCE_SAMPLE_TOKENS_REFERENCE_H_
