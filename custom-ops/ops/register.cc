// What ONNX Runtime calls when it loads the library.

#include "cpu_matmul_nbits_kernel.h"
#include "cpu_scan_kernel.h"
#include "cpu_swiglu_kernel.h"
#include "cuda_scan_kernel.h"
#include "cuda_swiglu_kernel.h"
#include "export.h"
#include "matmul_nbits_op.h"
#include "ort.h"
#include "scan_op.h"
#include "swiglu_op.h"

namespace {

using namespace bamba::ops;
using bamba::DataType;

// An operator of a provider: without one for each T, ONNX Runtime refuses a model of the T that is
// missing.
template <typename Op>
void Add(Ort::CustomOpDomain& domain) {
  // Sessions keep pointers to these for as long as the library is loaded.
  static const Op ops[] = {
      Op(DataType::kFloat32),
      Op(DataType::kFloat16),
      Op(DataType::kBFloat16),
  };
  for (const auto& op : ops) {
    domain.Add(&op);
  }
}

// The domain for sessions with any provider, or for those that run on the processor alone. The
// first lacks what has no kernel on every provider: ONNX Runtime would take such a node to the
// processor, though the function in the model file runs where the other nodes do.
template <bool kCpuOnly>
Ort::CustomOpDomain& Domain() {
  static Ort::CustomOpDomain* const domain = [] {
    auto* made = new Ort::CustomOpDomain("bamba");
    Add<ScanOp<CpuScanKernel>>(*made);
    Add<ScanOp<CudaScanKernel>>(*made);
    Add<SwiGluOp<CpuSwiGluKernel>>(*made);
    Add<SwiGluOp<CudaSwiGluKernel>>(*made);
    if constexpr (kCpuOnly) {
      Add<MatMulNBitsOp<CpuMatMulNBitsKernel>>(*made);
    }
    return made;
  }();
  return *domain;
}

// Whether the session's configuration says that it runs on the processor alone, which its options
// don't otherwise tell.
bool IsCpuOnly(Ort::ConstSessionOptions options) {
  constexpr char kEntry[] = "bamba.cpu_only";
  return options.GetConfigEntryOrDefault(kEntry, "0") == "1";
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
    Ort::UnownedSessionOptions session(options);
    session.Add(IsCpuOnly(Ort::ConstSessionOptions(options)) ? Domain<true>() : Domain<false>());
  });
}
