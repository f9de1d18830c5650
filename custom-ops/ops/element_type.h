// The operators' T in ONNX Runtime's terms.

#ifndef BAMBA_OPS_ELEMENT_TYPE_H_
#define BAMBA_OPS_ELEMENT_TYPE_H_

#include "data_type.h"
#include "ort.h"

namespace bamba::ops {

inline ONNXTensorElementDataType ElementType(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
    case DataType::kBFloat16:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16;
    default:
      return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  }
}

}  // namespace bamba::ops

#endif  // BAMBA_OPS_ELEMENT_TYPE_H_
