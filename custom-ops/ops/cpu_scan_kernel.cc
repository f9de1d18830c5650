#include "cpu_scan_kernel.h"

#include "attributes.h"
#include "cpu/mamba2_chunk_scan_cpu.h"
#include "cpu_resources.h"
#include "inputs.h"

namespace bamba::ops {
CpuScanKernel::CpuScanKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadAttributes(info)), type_(type) {}

OrtStatusPtr CpuScanKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    Inputs inputs(context, attributes_, type_);
    inputs.CheckLengths();
    TakeOutputs(context, inputs);
    Workspace workspace(context, cpu::Mamba2WorkspaceBytes(inputs.shape));
    static const cpu::Isa isa = cpu::BestIsa();
    cpu::Mamba2ChunkScan(inputs.shape, inputs.tensors, workspace.data(), ThreadsOf(context), isa);
  });
}

}  // namespace bamba::ops
