// The type T of the operators.

#ifndef BAMBA_KERNELS_DATA_TYPE_H_
#define BAMBA_KERNELS_DATA_TYPE_H_

#include <cstdint>

namespace bamba {

enum class DataType { kFloat32, kFloat16, kBFloat16 };

// Bytes of an element of T.
constexpr int64_t ElementBytes(DataType type) { return type == DataType::kFloat32 ? 4 : 2; }

}  // namespace bamba

#endif  // BAMBA_KERNELS_DATA_TYPE_H_
