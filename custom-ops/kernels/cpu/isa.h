// The instruction sets that the processor's kernels are written for.

#ifndef BAMBA_KERNELS_CPU_ISA_H_
#define BAMBA_KERNELS_CPU_ISA_H_

namespace bamba::cpu {

enum class Isa { kPlain, kAvx2, kAvx512 };

// The best of them that this processor has.
Isa BestIsa();

// "plain", "avx2" or "avx512".
const char* IsaName(Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_ISA_H_
