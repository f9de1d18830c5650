#include "cpu_op.h"

#include <algorithm>
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

// Says nothing of an output with an axis that has neither a size nor a name: ONNX Runtime would
// take its mark for such an axis, -1, as the size.
Ort::Status CpuOp::InferOutputShape(Ort::ShapeInferContext& context) {
  using Shape = Ort::ShapeInferContext::Shape;
  const auto set = [&context](size_t index, const Shape& shape) {
    const bool known = std::all_of(shape.begin(), shape.end(), [](const auto& axis) {
      return !axis.IsInt() || axis.AsInt() >= 0;
    });
    return known && !shape.empty() ? context.SetOutputShape(index, shape) : Ort::Status{nullptr};
  };
  Shape y = context.GetInputShape(0);
  if (y.size() == 3) {
    y[2] = context.GetAttrInt("num_heads") * context.GetAttrInt("head_dim");
    if (Ort::Status status = set(0, y); !status.IsOK()) {
      return status;
    }
  }
  if (Ort::Status status = set(1, context.GetInputShape(7)); !status.IsOK()) {
    return status;
  }
  return set(2, context.GetInputShape(8));
}

}  // namespace bamba::ops
