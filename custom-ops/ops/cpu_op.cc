#include "cpu_op.h"

#include <memory>

#include "attributes.h"
#include "cpu/mamba2_chunk_scan_cpu.h"
#include "inputs.h"

namespace bamba::ops {
namespace {

// ONNX Runtime's own threads. How many there are it does not say; with one, it runs the tasks here.
cpu::ThreadPool ThreadsOf(const Ort::KernelContext& context) {
  cpu::ThreadPool pool;
  pool.self = const_cast<Ort::KernelContext*>(&context);
  pool.threads = 2;
  pool.run = [](void* self, size_t count, void (*task)(void*, size_t), void* task_context) {
    static_cast<Ort::KernelContext*>(self)->ParallelFor(task, count, 0, task_context);
  };
  return pool;
}

}  // namespace

CpuKernel::CpuKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadAttributes(info)), type_(type) {}

OrtStatusPtr CpuKernel::ComputeV2(OrtKernelContext* ort_context) const {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    Inputs inputs(context, attributes_, type_);
    inputs.CheckLengths();
    TakeOutputs(context, inputs);
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Allocator allocator = context.GetAllocator(*static_cast<const OrtMemoryInfo*>(memory));
    auto workspace = allocator.GetAllocation(cpu::Mamba2WorkspaceBytes(inputs.shape));
    static const cpu::Isa isa = cpu::BestIsa();
    cpu::Mamba2ChunkScan(inputs.shape, inputs.tensors, workspace.get(), ThreadsOf(context), isa);
  });
}

CpuOp::CpuOp(DataType type) : type_(type) { OrtCustomOp::version = kApiVersion; }

OrtStatusPtr CpuOp::CreateKernelV2(const OrtApi&, const OrtKernelInfo* info, void** kernel) const {
  return Guard([&] { *kernel = std::make_unique<CpuKernel>(info, type_).release(); });
}

ONNXTensorElementDataType CpuOp::element_type() const {
  switch (type_) {
    case DataType::kFloat16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case DataType::kBFloat16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
    default:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
}

ONNXTensorElementDataType CpuOp::GetInputType(size_t index) const {
  // zxbcdt and past_conv_state are T; the last three are lengths and rows.
  if (index == 0 || index == 7) {
    return element_type();
  }
  return index >= 9 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
}

ONNXTensorElementDataType CpuOp::GetOutputType(size_t index) const {
  return index == 2 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT : element_type();
}

OrtCustomOpInputOutputCharacteristic CpuOp::GetInputCharacteristic(size_t index) const {
  return index >= 10 ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
}

Ort::Status CpuOp::InferOutputShape(Ort::ShapeInferContext& context) {
  const auto& tokens = context.GetInputShape(0);
  if (tokens.size() == 3) {
    const int64_t inner = context.GetAttrInt("num_heads") * context.GetAttrInt("head_dim");
    if (Ort::Status status = context.SetOutputShape(0, {tokens[0], tokens[1], inner});
        !status.IsOK()) {
      return status;
    }
  }
  for (size_t i : {1, 2}) {
    if (Ort::Status status = context.SetOutputShape(i, context.GetInputShape(i + 6));
        !status.IsOK()) {
      return status;
    }
  }
  return Ort::Status{nullptr};
}

}  // namespace bamba::ops
