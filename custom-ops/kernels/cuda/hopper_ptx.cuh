// The instructions of compute capability 9.0 that C++ has no words for, one function each: barriers
// in shared memory, bulk copies, matrix loads and stores, and the asynchronous matrix product of a
// warpgroup.

#ifndef BAMBA_KERNELS_CUDA_HOPPER_PTX_CUH_
#define BAMBA_KERNELS_CUDA_HOPPER_PTX_CUH_

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

namespace bamba::cuda::hopper {

// Two neighbours of T in one register.
template <typename T>
__device__ inline uint32_t Pack(float low, float high) {
  uint32_t word;
  if constexpr (std::is_same_v<T, __half>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  }
  return word;
}

template <typename T>
__device__ inline float2 Unpack(uint32_t word) {
  float2 pair;
  if constexpr (std::is_same_v<T, __half>) {
    asm("{ .reg .f16 low, high; mov.b32 {low, high}, %2; cvt.f32.f16 %0, low; cvt.f32.f16 %1, "
        "high; }"
        : "=f"(pair.x), "=f"(pair.y)
        : "r"(word));
  } else {
    pair.x = __uint_as_float(word << 16);
    pair.y = __uint_as_float(word & 0xffff0000u);
  }
  return pair;
}

__device__ inline float Exp2(float value) {
  asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(value));
  return value;
}

// v / (1 + exp(-v)) as (v + v tanh(v / 2)) / 2, given v / 2: one call of the special function unit
// in place of two. Its error, 2^-11 of v / 2, is below the rounding of either 16-bit type to which
// the result goes.
__device__ inline float FastSiluOfTwice(float half) {
  float tanh;
  asm("tanh.approx.f32 %0, %1;" : "=f"(tanh) : "f"(half));
  return half + half * tanh;
}

__device__ inline float FastSilu(float value) { return FastSiluOfTwice(0.5f * value); }

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// ---- barriers
// -------------------------------------------------------------------------------------------------------

__device__ inline void InitBarrier(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ inline void FenceBarrierInit() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ inline void Arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives and makes the phase wait for bytes that copies will bring.
__device__ inline void ArriveExpecting(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

// Waits for a phase to end. The warp sleeps meanwhile, for the hint's nanoseconds at most, so that
// it takes no turns from warps that work.
__device__ inline void Wait(uint32_t barrier, uint32_t parity) {
  constexpr uint32_t kNanoseconds = 10'000'000;
  uint32_t done = 0;
  while (done == 0) {
    asm volatile(
        "{ .reg .pred done; mbarrier.try_wait.parity.shared::cta.b64 done, [%1], %2, %3; "
        "selp.u32 %0, 1, 0, done; }"
        : "=r"(done)
        : "r"(barrier), "r"(parity), "r"(kNanoseconds)
        : "memory");
  }
}

// Makes what this thread wrote to shared memory visible to matrix products and bulk copies.
__device__ inline void FenceAsyncProxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

__device__ inline void CopyToShared(uint32_t target, const void* source, uint32_t bytes,
                                    uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(target),
      "l"(source), "r"(bytes), "r"(barrier)
      : "memory");
}

// A policy for what is read once: it leaves the cache before anything else does.
__device__ inline uint64_t ReadOncePolicy() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

// A box of a matrix of which the map tells the shape, from a column and row on; zeros outside of
// it.
__device__ inline void CopyBoxToShared(uint32_t target, const CUtensorMap& map, int column, int row,
                                       uint32_t barrier, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(target),
      "l"(&map), "r"(column), "r"(row), "r"(barrier), "l"(policy)
      : "memory");
}

// A piece of 16 bytes, in the background; zeros where `real` is false.
__device__ inline void CopyPiece(uint32_t target, const void* source, bool real, uint64_t policy) {
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2, %3;" ::"r"(target),
               "l"(source), "r"(real ? 16 : 0), "l"(policy)
               : "memory");
}

// Four bytes, in the background.
__device__ inline void CopyWord(uint32_t target, const void* source) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(target), "l"(source) : "memory");
}

// Closes a group of such copies.
__device__ inline void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most kPending of this thread's groups are under way.
template <int kPending>
__device__ inline void WaitCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

// ---- small matrices in a warp's registers
// ---------------------------------------------------------------------------

// Four 8 x 8 matrices; lane i names row i % 8 of matrix i / 8.
__device__ inline void LoadMatrices(uint32_t (&words)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(row)
               : "memory");
}

__device__ inline void LoadMatricesTransposed(uint32_t (&words)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(row)
               : "memory");
}

__device__ inline void StoreMatrices(uint32_t row, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row),
               "r"(a), "r"(b), "r"(c), "r"(d)
               : "memory");
}

// sum += A B for 16 x 16 by 16 x 8.
template <typename T>
__device__ inline void MultiplyAdd(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                   uint32_t b1) {
#define BAMBA_MMA(TYPE)                                                               \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                 \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])               \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
  if constexpr (std::is_same_v<T, __half>) {
    BAMBA_MMA("f16");
  } else {
    BAMBA_MMA("bf16");
  }
#undef BAMBA_MMA
}

// ---- products of a warpgroup
// ----------------------------------------------------------------------------------------

// Describes an operand in shared memory: rows of 128 bytes along the summed axis, swizzled
// (hopper_tiles.cuh), 8 rows every 1,024 bytes. Addresses count in 16 bytes.
__device__ inline uint64_t Operand(const void* pointer) {
  return static_cast<uint64_t>((SharedAddress(pointer) & 0x3ffff) >> 4) | (uint64_t{1} << 16) |
         (uint64_t{1024 >> 4} << 32) | (uint64_t{1} << 62);
}

// The operand some bytes further on: 32 for the next step of 16 along the summed axis.
__device__ inline uint64_t Further(uint64_t operand, int bytes) { return operand + (bytes >> 4); }

__device__ inline void ProductFence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ inline void CommitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

__device__ inline void WaitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
}

// Keeps the compiler from moving uses of a sum across the products that change it behind its back.
template <int kSize>
__device__ inline void Pin(float (&sum)[kSize]) {
#pragma unroll
  for (int i = 0; i < kSize; ++i) {
    asm volatile("" : "+f"(sum[i])::"memory");
  }
}

#define BAMBA_SUM8(s, i)                                                                      \
  "+f"(s[i]), "+f"(s[i + 1]), "+f"(s[i + 2]), "+f"(s[i + 3]), "+f"(s[i + 4]), "+f"(s[i + 5]), \
      "+f"(s[i + 6]), "+f"(s[i + 7])
#define BAMBA_SUM32(s, i) \
  BAMBA_SUM8(s, i), BAMBA_SUM8(s, i + 8), BAMBA_SUM8(s, i + 16), BAMBA_SUM8(s, i + 24)
#define BAMBA_REGISTERS32                                                                  \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}"
#define BAMBA_REGISTERS64                                                                      \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, "     \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, " \
  "%37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, " \
  "%55, %56, %57, %58, %59, %60, %61, %62, %63}"

// sum (64 x 64) = A B, or += where adds; A and B described in shared memory, B's rows are the sum's
// columns.
template <typename T>
__device__ inline void Product64(float (&sum)[32], uint64_t a, uint64_t b, bool adds) {
#define BAMBA_WGMMA(TYPE)                                                               \
  asm volatile(                                                                         \
      "{ .reg .pred adds; setp.ne.b32 adds, %34, 0;\n"                                  \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " " BAMBA_REGISTERS32 \
      ", %32, %33, adds, 1, 1, 0, 0; }"                                                 \
      : BAMBA_SUM32(sum, 0)                                                             \
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)))
  if constexpr (std::is_same_v<T, __half>) {
    BAMBA_WGMMA("f16");
  } else {
    BAMBA_WGMMA("bf16");
  }
#undef BAMBA_WGMMA
}

// sum (64 x 64) += A B with A in registers.
template <typename T>
__device__ inline void Product64(float (&sum)[32], const uint32_t (&a)[4], uint64_t b) {
#define BAMBA_WGMMA(TYPE)                                                                        \
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." TYPE "." TYPE " " BAMBA_REGISTERS32 \
               ", {%32, %33, %34, %35}, %36, 1, 1, 1, 0;"                                        \
               : BAMBA_SUM32(sum, 0)                                                             \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
  if constexpr (std::is_same_v<T, __half>) {
    BAMBA_WGMMA("f16");
  } else {
    BAMBA_WGMMA("bf16");
  }
#undef BAMBA_WGMMA
}

// sum (64 x 128) += A B.
template <typename T>
__device__ inline void Product128(float (&sum)[64], uint64_t a, uint64_t b) {
#define BAMBA_WGMMA(TYPE)                                                                         \
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " " BAMBA_REGISTERS64 \
               ", %64, %65, 1, 1, 1, 0, 0;"                                                       \
               : BAMBA_SUM32(sum, 0), BAMBA_SUM32(sum, 32)                                        \
               : "l"(a), "l"(b))
  if constexpr (std::is_same_v<T, __half>) {
    BAMBA_WGMMA("f16");
  } else {
    BAMBA_WGMMA("bf16");
  }
#undef BAMBA_WGMMA
}

#undef BAMBA_SUM8
#undef BAMBA_SUM32
#undef BAMBA_REGISTERS32
#undef BAMBA_REGISTERS64

}  // namespace bamba::cuda::hopper

#endif  // BAMBA_KERNELS_CUDA_HOPPER_PTX_CUH_
