#include "cuda_library.h"

#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace bamba::ops {
namespace {

#if defined(_WIN32)
constexpr char kFileName[] = "bamba_ops_cuda.dll";

std::filesystem::path ThisLibrary() {
  HMODULE module = nullptr;
  wchar_t path[32768];
  GetModuleHandleExW(
      GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
      reinterpret_cast<const wchar_t*>(&LoadCudaKernels), &module);
  const DWORD length = GetModuleFileNameW(module, path, static_cast<DWORD>(std::size(path)));
  return std::wstring(path, length);
}

void* FindEntry(const std::filesystem::path& path, std::string& problem) {
  if (HMODULE library = LoadLibraryExW(path.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH)) {
    if (FARPROC entry = GetProcAddress(library, kCudaEntry)) {
      return reinterpret_cast<void*>(entry);
    }
  }
  problem = std::system_category().message(static_cast<int>(GetLastError()));
  return nullptr;
}
#else
constexpr char kFileName[] = "libbamba_ops_cuda.so";

std::filesystem::path ThisLibrary() {
  Dl_info info = {};
  dladdr(reinterpret_cast<const void*>(&LoadCudaKernels), &info);
  return info.dli_fname;
}

void* FindEntry(const std::filesystem::path& path, std::string& problem) {
  if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (void* entry = dlsym(library, kCudaEntry)) {
      return entry;
    }
  }
  problem = dlerror();
  return nullptr;
}
#endif

}  // namespace

const CudaKernels& LoadCudaKernels() {
  // Stays loaded: kernels hold what it gave. A load that failed is tried again by the next kernel.
  static const CudaKernels* const kernels = [] {
    const std::filesystem::path path = ThisLibrary().parent_path() / kFileName;
    std::string problem;
    void* entry = FindEntry(path, problem);
    if (entry == nullptr) {
      throw std::runtime_error("bamba_ops: the CUDA provider needs " + path.string() + ": " +
                               problem);
    }
    return reinterpret_cast<CudaEntry>(entry)();
  }();
  return *kernels;
}

}  // namespace bamba::ops
