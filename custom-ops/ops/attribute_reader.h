// Reads a node's attributes, and says of one that is wrong what was expected and what was found.

#ifndef BAMBA_OPS_ATTRIBUTE_READER_H_
#define BAMBA_OPS_ATTRIBUTE_READER_H_

#include <optional>
#include <stdexcept>
#include <string>

#include "ort.h"

namespace bamba::ops {

class AttributeReader {
 public:
  // `op` begins every complaint.
  AttributeReader(const char* op, const OrtKernelInfo* info) : op_(op), info_(info) {}

  // Nothing where there is no such attribute, which ONNX Runtime tells by an error, as it does one
  // of another type.
  template <typename Value>
  std::optional<Value> Read(const char* name) const {
    auto value = TryRead<Value>(name);
    if (!value) {
      RefuseType<Value, int64_t>(name);
      RefuseType<Value, float>(name);
      RefuseType<Value, std::string>(name);
    }
    return value;
  }

  int64_t ReadPositive(const char* name, std::optional<int64_t> otherwise = std::nullopt) const {
    const auto given = Read<int64_t>(name);
    const auto value = given ? given : otherwise;
    if (!value || *value <= 0) {
      FailAt(name, "a positive integer", value ? std::to_string(*value) : "none");
    }
    return *value;
  }

  [[noreturn]] void FailAt(const char* name, const std::string& expected,
                           const std::string& found) const {
    throw std::invalid_argument(std::string(op_) + ": attribute " + name + ": expected " +
                                expected + ", found " + found);
  }

 private:
  static const char* TypeName(int64_t) { return "an integer"; }
  static const char* TypeName(float) { return "a float"; }
  static const char* TypeName(const std::string&) { return "a string"; }

  template <typename Value>
  std::optional<Value> TryRead(const char* name) const {
    try {
      return info_.GetAttribute<Value>(name);
    } catch (const Ort::Exception&) {
      return std::nullopt;
    }
  }

  template <typename Expected, typename Other>
  void RefuseType(const char* name) const {
    if (TryRead<Other>(name)) {
      FailAt(name, TypeName(Expected()), TypeName(Other()));
    }
  }

  const char* op_;
  Ort::ConstKernelInfo info_;
};

}  // namespace bamba::ops

#endif  // BAMBA_OPS_ATTRIBUTE_READER_H_
