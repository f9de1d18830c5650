// What ONNX Runtime calls when it loads the library.

#include "cpu_op.h"
#include "ort.h"

#if defined(_WIN32)
#define BAMBA_EXPORT __declspec(dllexport)
#else
#define BAMBA_EXPORT __attribute__((visibility("default")))
#endif

extern "C" BAMBA_EXPORT OrtStatus* RegisterCustomOps(OrtSessionOptions* options,
                                                     const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(bamba::ops::kApiVersion);
  if (api == nullptr) {
    // Too old to be told more: there is no API to make a status with.
    return base->GetApi(1)->CreateStatus(ORT_NOT_IMPLEMENTED,
                                         "bamba_ops needs ONNX Runtime 1.24 or newer");
  }
  Ort::InitApi(api);
  return bamba::ops::Guard([&] {
    // Sessions keep pointers to these for as long as the library is loaded.
    static const bamba::ops::CpuOp ops[] = {
        bamba::ops::CpuOp(bamba::DataType::kFloat32),
        bamba::ops::CpuOp(bamba::DataType::kFloat16),
        bamba::ops::CpuOp(bamba::DataType::kBFloat16),
    };
    static Ort::CustomOpDomain* const domain = [] {
      auto* made = new Ort::CustomOpDomain("bamba");
      for (const auto& op : ops) {
        made->Add(&op);
      }
      return made;
    }();
    Ort::UnownedSessionOptions(options).Add(*domain);
  });
}
