# The kernels, which know nothing of ONNX Runtime, and their scalar twin.

set(kernels_dir ${CMAKE_CURRENT_LIST_DIR})

add_library(bamba_kernels_reference STATIC
  ${kernels_dir}/reference/mamba2_chunk_scan_reference.cc
  ${kernels_dir}/reference/matmul_nbits_reference.cc
  ${kernels_dir}/reference/sample_tokens_reference.cc
  ${kernels_dir}/reference/swiglu_reference.cc)
target_include_directories(bamba_kernels_reference PUBLIC ${kernels_dir})
if(NOT MSVC)
  # Weights of tokens are the same on every machine: nothing is fused.
  set_source_files_properties(${kernels_dir}/reference/sample_tokens_reference.cc PROPERTIES
    COMPILE_OPTIONS -ffp-contract=off)
endif()

add_library(bamba_kernels_cpu STATIC
  ${kernels_dir}/cpu/isa.cc
  ${kernels_dir}/cpu/mamba2_chunk_scan_cpu.cc
  ${kernels_dir}/cpu/matmul_nbits_cpu.cc
  ${kernels_dir}/cpu/swiglu_cpu.cc)
target_include_directories(bamba_kernels_cpu PUBLIC ${kernels_dir})

# What is compiled once for an instruction set: products with quantized weights have one of their
# own, which the float32 kernels would gain nothing by.
set(float_kernels ${kernels_dir}/cpu/kernels.cc ${kernels_dir}/cpu/swiglu_kernels.cc)
set(byte_kernels ${kernels_dir}/cpu/matmul_nbits_kernels.cc)
function(add_isa name sources)
  add_library(bamba_kernels_${name} OBJECT ${sources})
  target_include_directories(bamba_kernels_${name} PRIVATE ${kernels_dir})
  target_compile_definitions(bamba_kernels_${name} PRIVATE BAMBA_ISA=${name})
  target_compile_options(bamba_kernels_${name} PRIVATE ${ARGN})
  target_sources(bamba_kernels_cpu PRIVATE $<TARGET_OBJECTS:bamba_kernels_${name}>)
endfunction()

add_isa(plain "${float_kernels};${byte_kernels}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  target_compile_definitions(bamba_kernels_cpu PRIVATE BAMBA_HAS_AVX)
  if(MSVC)
    add_isa(avx2 "${float_kernels};${byte_kernels}" /arch:AVX2)
    add_isa(avx512 "${float_kernels}" /arch:AVX512)
    # This compiler has the instructions at hand, but no name for the set.
    add_isa(avx512vnni "${byte_kernels}" /arch:AVX512 /D__AVX512VNNI__)
  else()
    add_isa(avx2 "${float_kernels};${byte_kernels}" -mavx2 -mfma -mf16c)
    # GCC 12 takes its own headers' undefined registers for a mistake.
    set(avx512 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma -mf16c -Wno-uninitialized
      -Wno-maybe-uninitialized)
    add_isa(avx512 "${float_kernels}" ${avx512})
    add_isa(avx512vnni "${byte_kernels}" ${avx512} -mavx512vnni)
  endif()
endif()

if(BAMBA_CUDA)
  set(cuda_dir ${kernels_dir}/cuda)
  # Hopper's tensor core instructions exist for 9.0a alone; mamba2_chunk_scan_cuda.cu asks the device
  # before it takes them.
  add_library(bamba_kernels_hopper OBJECT ${cuda_dir}/hopper_scan.cu)
  set_target_properties(bamba_kernels_hopper PROPERTIES CUDA_ARCHITECTURES 90a-real)
  add_library(bamba_kernels_cuda STATIC
    ${cuda_dir}/dequantize_nbits.cu
    ${cuda_dir}/device.cu
    ${cuda_dir}/gated_norm.cu
    ${cuda_dir}/mamba2_chunk_scan_cuda.cu
    ${cuda_dir}/matmul_nbits.cu
    ${cuda_dir}/matmul_nbits_batch.cu
    ${cuda_dir}/matmul_nbits_step.cu
    ${cuda_dir}/pass_through.cu
    ${cuda_dir}/portable_scan.cu
    ${cuda_dir}/sample_tokens.cu
    ${cuda_dir}/step.cu
    ${cuda_dir}/swiglu.cu
    $<TARGET_OBJECTS:bamba_kernels_hopper>)
  # Weights of tokens are those of the host: nothing is fused.
  set_source_files_properties(${cuda_dir}/sample_tokens.cu PROPERTIES COMPILE_OPTIONS --fmad=false)
  foreach(target bamba_kernels_hopper bamba_kernels_cuda)
    target_include_directories(${target} PUBLIC ${kernels_dir} ${cuda_dir})
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr -lineinfo>)
    if(BAMBA_RACECHECK)
      target_compile_definitions(${target} PRIVATE BAMBA_RACECHECK)
    endif()
  endforeach()
  target_link_libraries(bamba_kernels_cuda PUBLIC CUDA::cudart_static)
endif()
