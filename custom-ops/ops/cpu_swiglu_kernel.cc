#include "cpu_swiglu_kernel.h"

#include "cpu/swiglu_cpu.h"
#include "cpu_resources.h"
#include "swiglu_op.h"

namespace bamba::ops {

CpuSwiGluKernel::CpuSwiGluKernel(DataType type) : type_(type) {}

OrtStatusPtr CpuSwiGluKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    const SwiGluCall call(context, type_);
    static const cpu::Isa isa = cpu::BestIsa();
    cpu::SwiGlu(call.shape, call.tensors, ThreadsOf(context), isa);
  });
}

}  // namespace bamba::ops
