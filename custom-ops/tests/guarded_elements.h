// Elements of T between margins that nobody may write.

#ifndef BAMBA_TESTS_GUARDED_ELEMENTS_H_
#define BAMBA_TESTS_GUARDED_ELEMENTS_H_

#include <cstdlib>
#include <cstring>
#include <memory>

#include "elements.h"

namespace bamba::tests {

// At any address: `offset` elements past a multiple of 64 bytes.
class Elements {
 public:
  Elements(DataType type, int64_t count, int64_t offset)
      : type_(type),
        bytes_(count * ElementBytes(type)),
        start_(kMargin + offset * ElementBytes(type)),
        memory_(static_cast<char*>(std::aligned_alloc(64, Padded()))) {
    std::memset(memory_.get(), kUntouched, Padded());
  }

  void* data() { return memory_.get() + start_; }
  const char* bytes() const { return memory_.get() + start_; }
  int64_t size() const { return bytes_; }

  float At(int64_t index) const { return ElementAt(bytes(), type_, index); }
  void Set(int64_t index, float value) {
    StoreElement(memory_.get() + start_, type_, index, value);
  }

  bool MarginsAreUntouched() const {
    for (size_t i = 0; i < Padded(); ++i) {
      const int64_t at = static_cast<int64_t>(i) - start_;
      if ((at < 0 || at >= bytes_) && memory_[i] != kUntouched) {
        return false;
      }
    }
    return true;
  }

 private:
  static constexpr int64_t kMargin = 64;
  static constexpr char kUntouched = 0x5a;

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  size_t Padded() const { return static_cast<size_t>((start_ + bytes_ + kMargin + 63) / 64 * 64); }

  DataType type_;
  int64_t bytes_;
  int64_t start_;
  std::unique_ptr<char[], Free> memory_;
};

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_GUARDED_ELEMENTS_H_
