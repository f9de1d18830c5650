// Elements of T in plain memory.

#ifndef BAMBA_TESTS_ELEMENTS_H_
#define BAMBA_TESTS_ELEMENTS_H_

#include <cstdint>
#include <cstring>

#include "data_type.h"
#include "numeric.h"

namespace bamba::tests {

// "float32", "float16" or "bfloat16".
inline const char* NameOf(DataType type) {
  switch (type) {
    case DataType::kFloat16:
      return "float16";
    case DataType::kBFloat16:
      return "bfloat16";
    default:
      return "float32";
  }
}

inline void StoreElement(char* buffer, DataType type, int64_t index, float value) {
  if (type == DataType::kFloat32) {
    std::memcpy(buffer + index * 4, &value, 4);
    return;
  }
  const uint16_t bits =
      type == DataType::kFloat16 ? FromFloat<Float16>(value).bits : FromFloat<BFloat16>(value).bits;
  std::memcpy(buffer + index * 2, &bits, 2);
}

inline float ElementAt(const char* buffer, DataType type, int64_t index) {
  if (type == DataType::kFloat32) {
    float value;
    std::memcpy(&value, buffer + index * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, buffer + index * 2, 2);
  return type == DataType::kFloat16 ? ToFloat(Float16{bits}) : ToFloat(BFloat16{bits});
}

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_ELEMENTS_H_
