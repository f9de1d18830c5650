#include "cuda_matmul_nbits_kernel.h"

#include <optional>

#include "cuda_library.h"
#include "cuda_resources.h"
#include "matmul_nbits_op.h"

namespace bamba::ops {
namespace {

constexpr char kOp[] = "MatMulNBits";

// Whether the weights are the model's and not what a node computes.
bool HasConstantWeights(const Ort::ConstKernelInfo& info) {
  for (size_t i = 1; i < info.GetInputCount(); ++i) {
    int is_constant = 0;
    info.GetTensorConstantInput(i, &is_constant);
    if (is_constant == 0) {
      return false;
    }
  }
  return true;
}

// ONNX's own product with a transposed second operand, as ONNX Runtime computes it.
Ort::Op MakeGemm(const OrtKernelInfo* info, DataType type) {
  constexpr char kDomain[] = "";
  constexpr int kOpset = 13;
  const char* names[] = {"T"};
  const ONNXTensorElementDataType types[] = {ElementType(type)};
  // An operator that is made by itself gets no defaults.
  const int64_t no = 0;
  const int64_t yes = 1;
  const float zero = 0;
  const float one = 1;
  const Ort::OpAttr attributes[] = {Ort::OpAttr("transA", &no, 1, ORT_OP_ATTR_INT),
                                    Ort::OpAttr("transB", &yes, 1, ORT_OP_ATTR_INT),
                                    Ort::OpAttr("alpha", &one, 1, ORT_OP_ATTR_FLOAT),
                                    Ort::OpAttr("beta", &zero, 1, ORT_OP_ATTR_FLOAT)};
  return Ort::Op::Create(info, "Gemm", kDomain, kOpset, names, types, std::size(names), attributes,
                         std::size(attributes), /*input_count=*/2, /*output_count=*/1);
}

Ort::Value Wrap(const OrtMemoryInfo* memory, DataType type, const void* data, int64_t rows,
                int64_t columns) {
  const int64_t sizes[] = {rows, columns};
  return Ort::Value::CreateTensor(memory, const_cast<void*>(data),
                                  static_cast<size_t>(rows * columns * ElementBytes(type)), sizes,
                                  std::size(sizes), ElementType(type));
}

}  // namespace

CudaMatMulNBitsKernel::CudaMatMulNBitsKernel(const OrtKernelInfo* info, DataType type)
    : attributes_(ReadMatMulNBitsAttributes(info)),
      type_(type),
      cuda_(LoadCudaKernels()),
      constant_weights_(HasConstantWeights(Ort::ConstKernelInfo(info))),
      gemm_(MakeGemm(info, type)) {}

OrtStatusPtr CudaMatMulNBitsKernel::ComputeV2(OrtKernelContext* ort_context) {
  return Guard([&] {
    const Ort::KernelContext context(ort_context);
    const MatMulNBitsCall call(context, attributes_, type_);
    const Ort::ConstMemoryInfo memory = context.GetInput(0).GetTensorMemoryInfo();
    if (cuda_.has_few_rows(call.shape, call.tensors)) {
      MultiplyFewRows(ort_context, call, memory);
    } else if (call.shape.rows > 0) {
      MultiplyManyRows(ort_context, call, memory);
    }
  });
}

void CudaMatMulNBitsKernel::MultiplyFewRows(OrtKernelContext* context, const MatMulNBitsCall& call,
                                            const OrtMemoryInfo* memory) {
  const int device = Ort::ConstMemoryInfo(memory).GetDeviceId();
  size_t bytes = 0;
  RequireCuda(kOp, cuda_.few_rows_workspace_bytes(call.shape, device, bytes));
  std::optional<CudaScratch> workspace;
  if (bytes > 0) {
    workspace.emplace(context, memory, bytes);
  }
  RequireCuda(kOp, cuda_.multiply_few_rows(call.shape, call.tensors, constant_weights_,
                                           workspace ? workspace->data() : nullptr, device,
                                           Ort::KernelContext(context).GetGPUComputeStream()));
}

void CudaMatMulNBitsKernel::MultiplyManyRows(OrtKernelContext* context, const MatMulNBitsCall& call,
                                             const OrtMemoryInfo* memory) {
  const MatMulNBitsShape& shape = call.shape;
  const CudaScratch weights(
      context, memory,
      static_cast<size_t>(shape.columns * shape.depth * ElementBytes(shape.data_type)));
  RequireCuda(kOp, cuda_.dequantize_weights(call.shape, call.tensors, weights.data(),
                                            Ort::KernelContext(context).GetGPUComputeStream()));
  const Ort::Value inputs[] = {
      Wrap(memory, type_, call.tensors.x, shape.rows, shape.depth),
      Wrap(memory, type_, weights.data(), shape.columns, shape.depth),
  };
  Ort::Value outputs[] = {Wrap(memory, type_, call.tensors.y, shape.rows, shape.columns)};
  gemm_.Invoke(context, inputs, std::size(inputs), outputs, std::size(outputs));
}

}  // namespace bamba::ops
