#include "matmul_nbits_op.h"

#include <algorithm>
#include <string>
#include <vector>

#include "attribute_reader.h"
#include "input_reader.h"

namespace bamba::ops {
namespace {

constexpr char kOp[] = "MatMulNBits";

int64_t ReadOneOf(const AttributeReader& reader, const char* name,
                  std::initializer_list<int64_t> values, const char* expected) {
  const int64_t value = reader.ReadPositive(name);
  if (std::find(values.begin(), values.end(), value) == values.end()) {
    reader.FailAt(name, expected, std::to_string(value));
  }
  return value;
}

// x gives the axes of y; all but the last are rows.
std::vector<int64_t> ReadX(const InputReader& reader, DataType type, MatMulNBitsCall& call) {
  const Input x = reader.Read(0, "x");
  x.RequireType(ElementType(type));
  if (x.sizes.empty()) {
    FailOf(kOp, "x: expected rank 1 or more, found rank 0");
  }
  std::vector<int64_t> sizes = x.sizes;
  x.RequireSize(sizes.size() - 1, {"K", call.shape.depth});
  sizes.pop_back();
  call.shape.data_type = type;
  call.shape.rows = 1;
  for (int64_t size : sizes) {
    call.shape.rows *= size;
  }
  call.tensors.x = x.data();
  sizes.push_back(call.shape.columns);
  return sizes;
}

DataType ReadScaleType(const Input& scales) {
  for (DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBFloat16}) {
    if (scales.type() == ElementType(type)) {
      return type;
    }
  }
  FailOf(kOp, "scales: expected float32, float16 or bfloat16, found " + NameOf(scales.type()));
}

void ReadWeights(const InputReader& reader, MatMulNBitsCall& call) {
  MatMulNBitsShape& shape = call.shape;
  const Input codes = reader.Read(1, "codes");
  codes.Require(ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
                {{"N", shape.columns},
                 {"ceil(K / block_size)", shape.groups()},
                 {"block_size * bits / 8", shape.block_size * shape.bits / 8}});
  call.tensors.codes = static_cast<const uint8_t*>(codes.data());
  const Input scales = reader.Read(2, "scales");
  shape.scale_type = ReadScaleType(scales);
  scales.RequireAxes({{"N * ceil(K / block_size)", shape.columns * shape.groups()}});
  call.tensors.scales = scales.data();
}

void ReadZeroPoints(const InputReader& reader, MatMulNBitsCall& call) {
  MatMulNBitsShape& shape = call.shape;
  if (!reader.Has(3)) {
    return;
  }
  const Input zero_points = reader.Read(3, "zero_points");
  if (zero_points.type() == ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8) {
    shape.zero_points = ZeroPoints::kPacked;
    zero_points.RequireAxes(
        {{"N * ceil(ceil(K / block_size) * bits / 8)", shape.columns * shape.zero_point_bytes()}});
  } else if (zero_points.type() == ElementType(shape.scale_type)) {
    shape.zero_points = ZeroPoints::kScaleType;
    zero_points.RequireAxes({{"N * ceil(K / block_size)", shape.columns * shape.groups()}});
  } else {
    FailOf(kOp, "zero_points: expected uint8 or " + NameOf(ElementType(shape.scale_type)) +
                    " as scales, found " + NameOf(zero_points.type()));
  }
  call.tensors.zero_points = zero_points.data();
}

}  // namespace

// S may be another type than T, and the kernel says of a wrong one what is wrong.
ONNXTensorElementDataType MatMulNBitsInputType(size_t index, DataType type) {
  switch (index) {
    case 0:
      return ElementType(type);
    case 1:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8;
    default:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  }
}

// Says nothing where an axis has neither a size nor a name: ONNX Runtime would take its mark for
// such an axis, -1, as the size. What is wrong with an attribute, the kernel says.
Ort::Status InferMatMulNBitsShapes(Ort::ShapeInferContext& context) {
  auto shape = context.GetInputShape(0);
  if (shape.empty()) {
    return Ort::Status{nullptr};
  }
  try {
    shape.back() = context.GetAttrInt("N");
  } catch (const Ort::Exception&) {
    return Ort::Status{nullptr};
  }
  const bool known = std::all_of(shape.begin(), shape.end(), [](const auto& axis) {
    return !axis.IsInt() || axis.AsInt() >= 0;
  });
  return known ? context.SetOutputShape(0, shape) : Ort::Status{nullptr};
}

MatMulNBitsShape ReadMatMulNBitsAttributes(const OrtKernelInfo* info) {
  const AttributeReader reader(kOp, info);
  MatMulNBitsShape shape;
  shape.depth = reader.ReadPositive("K");
  shape.columns = reader.ReadPositive("N");
  shape.bits = ReadOneOf(reader, "bits", {4, 8}, "4 or 8");
  shape.block_size = ReadOneOf(reader, "block_size", {32, 64, 128}, "32, 64 or 128");
  return shape;
}

MatMulNBitsCall::MatMulNBitsCall(const Ort::KernelContext& context,
                                 const MatMulNBitsShape& attributes, DataType type)
    : shape(attributes) {
  const InputReader reader(kOp, context);
  const std::vector<int64_t> sizes = ReadX(reader, type, *this);
  ReadWeights(reader, *this);
  ReadZeroPoints(reader, *this);
  tensors.y = context.GetOutput(0, sizes).GetTensorMutableRawData();
}

}  // namespace bamba::ops
