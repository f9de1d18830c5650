// The instruction sets that the processor's kernels are written for.

#ifndef BAMBA_KERNELS_CPU_ISA_H_
#define BAMBA_KERNELS_CPU_ISA_H_

namespace bamba::cpu {

// Each has those before it. kAvx512Vnni adds dot products of bytes.
enum class Isa { kPlain, kAvx2, kAvx512, kAvx512Vnni };

// The best of them that this processor has.
Isa BestIsa();

// "plain", "avx2", "avx512" or "avx512vnni".
const char* IsaName(Isa isa);

}  // namespace bamba::cpu

#endif  // BAMBA_KERNELS_CPU_ISA_H_
