#include "cpu_matmul_nbits_kernel.h"

#include "cpu/matmul_nbits_cpu.h"
#include "cpu_resources.h"
#include "matmul_nbits_op.h"

namespace bamba::ops {

CpuMatMulNBitsKernel::CpuMatMulNBitsKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadMatMulNBitsAttributes(info)), type_(type) {}

OrtStatusPtr CpuMatMulNBitsKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    const MatMulNBitsCall call(context, attributes_, type_);
    Workspace workspace(context, cpu::MatMulNBitsWorkspaceBytes(call.shape));
    static const cpu::Isa isa = cpu::BestIsa();
    cpu::MatMulNBits(call.shape, call.tensors, workspace.data(), ThreadsOf(context), isa);
  });
}

}  // namespace bamba::ops
