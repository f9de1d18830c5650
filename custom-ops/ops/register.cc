// What ONNX Runtime calls when it loads the library.

#include <stdexcept>
#include <string>

#include "cpu_matmul_nbits_kernel.h"
#include "cpu_scan_kernel.h"
#include "cpu_swiglu_kernel.h"
#include "cuda_matmul_nbits_kernel.h"
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

// The one provider that a session's nodes run on, where its configuration says so, which its
// options don't otherwise tell.
enum class Provider { kUnknown, kCpu, kCuda };

Provider ProviderOf(Ort::ConstSessionOptions options) {
  const std::string name = options.GetConfigEntryOrDefault("bamba.provider", "");
  if (name.empty()) {
    return Provider::kUnknown;
  }
  if (name == "cpu" || name == "cuda") {
    return name == "cpu" ? Provider::kCpu : Provider::kCuda;
  }
  throw std::invalid_argument("bamba.provider: expected cpu or cuda, found " + name);
}

// The domain for sessions of a provider. Those of an unknown one don't get what has no kernel on
// every provider: ONNX Runtime would take such a node to one that has it, though the function in
// the model file runs where the other nodes do.
template <Provider kProvider>
Ort::CustomOpDomain& Domain() {
  static Ort::CustomOpDomain* const domain = [] {
    auto* made = new Ort::CustomOpDomain("bamba");
    Add<ScanOp<CpuScanKernel>>(*made);
    Add<ScanOp<CudaScanKernel>>(*made);
    Add<SwiGluOp<CpuSwiGluKernel>>(*made);
    Add<SwiGluOp<CudaSwiGluKernel>>(*made);
    if constexpr (kProvider == Provider::kCpu) {
      Add<MatMulNBitsOp<CpuMatMulNBitsKernel>>(*made);
    } else if constexpr (kProvider == Provider::kCuda) {
      Add<MatMulNBitsOp<CudaMatMulNBitsKernel>>(*made);
    }
    return made;
  }();
  return *domain;
}

Ort::CustomOpDomain& DomainFor(Provider provider) {
  switch (provider) {
    case Provider::kCpu:
      return Domain<Provider::kCpu>();
    case Provider::kCuda:
      return Domain<Provider::kCuda>();
    default:
      return Domain<Provider::kUnknown>();
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
    Ort::UnownedSessionOptions session(options);
    session.Add(DomainFor(ProviderOf(Ort::ConstSessionOptions(options))));
  });
}
