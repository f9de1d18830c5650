// ONNX Runtime's C++ API, at the version that the library needs: it loads in any ONNX Runtime
// from 1.24 on.

#ifndef BAMBA_OPS_ORT_H_
#define BAMBA_OPS_ORT_H_

#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <exception>

namespace bamba::ops {

constexpr uint32_t kApiVersion = 24;

// What a function throws as a status: no exception may pass ONNX Runtime's functions.
template <typename Function>
OrtStatusPtr Guard(Function function) {
  try {
    function();
    return nullptr;
  } catch (const Ort::Exception& e) {
    return Ort::Status(e.what(), e.GetOrtErrorCode()).release();
  } catch (const std::exception& e) {
    return Ort::Status(e.what(), ORT_INVALID_ARGUMENT).release();
  }
}

}  // namespace bamba::ops

#endif  // BAMBA_OPS_ORT_H_
