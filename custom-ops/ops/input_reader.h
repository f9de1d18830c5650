// Reads a call's inputs, and says of one that is wrong what was expected and what was found.

#ifndef BAMBA_OPS_INPUT_READER_H_
#define BAMBA_OPS_INPUT_READER_H_

#include <initializer_list>
#include <string>
#include <vector>

#include "ort.h"

namespace bamba::ops {

constexpr int64_t kAny = -1;

// Throws std::invalid_argument of a problem of an operator.
[[noreturn]] void FailOf(const char* op, const std::string& problem);

std::string NameOf(ONNXTensorElementDataType type);

// One axis of an input: its name on the operator's page and its size, or kAny.
struct Axis {
  const char* name;
  int64_t size;
};

// An input of a call.
struct Input {
  const char* op;
  const char* name;
  Ort::ConstValue value;
  std::vector<int64_t> sizes;

  const void* data() const { return value.GetTensorRawData(); }
  ONNXTensorElementDataType type() const;

  void RequireType(ONNXTensorElementDataType expected) const;
  void RequireAxes(std::initializer_list<Axis> axes) const;
  void Require(ONNXTensorElementDataType expected, std::initializer_list<Axis> axes) const;
  // One axis of those that RequireAxes takes.
  void RequireSize(size_t index, const Axis& axis) const;
};

class InputReader {
 public:
  // `op` begins every complaint.
  InputReader(const char* op, const Ort::KernelContext& context) : op_(op), context_(context) {}

  bool Has(size_t index) const;
  Input Read(size_t index, const char* name) const;
  const float* ReadFloats(size_t index, const char* name, std::initializer_list<Axis> axes) const;

 private:
  const char* op_;
  const Ort::KernelContext& context_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_INPUT_READER_H_
