// What ONNX Runtime calls when it loads the library.

#include "cpu_kernel.h"
#include "cuda_kernel.h"
#include "export.h"
#include "ort.h"
#include "scan_op.h"

namespace {

using bamba::DataType;
using bamba::ops::CpuKernel;
using bamba::ops::CudaKernel;
using bamba::ops::ScanOp;

// A provider's operators: without one for each T it refuses a model of the T that is missing.
template <typename Kernel>
void AddOps(Ort::CustomOpDomain& domain) {
  // Sessions keep pointers to these for as long as the library is loaded.
  static const ScanOp<Kernel> ops[] = {
      ScanOp<Kernel>(DataType::kFloat32),
      ScanOp<Kernel>(DataType::kFloat16),
      ScanOp<Kernel>(DataType::kBFloat16),
  };
  for (const auto& op : ops) {
    domain.Add(&op);
  }
}

}  // namespace

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
    static Ort::CustomOpDomain* const domain = [] {
      auto* made = new Ort::CustomOpDomain("bamba");
      AddOps<CpuKernel>(*made);
      AddOps<CudaKernel>(*made);
      return made;
    }();
    Ort::UnownedSessionOptions(options).Add(*domain);
  });
}
