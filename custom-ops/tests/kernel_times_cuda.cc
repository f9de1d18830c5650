// Times the operators on a CUDA device at the sizes of a Bamba-9B layer, as a model runs them:
// inside a CUDA graph, with the buffers of several layers in rotation, so that no layer finds its
// own in the cache. Prints a JSON array.
//
//   kernel_times_cuda [REPLAYS]

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cases.h"
#include "cuda/mamba2_chunk_scan_cuda.h"
#include "cuda/matmul_nbits_cuda.h"
#include "cuda/swiglu_cuda.h"
#include "device_tensors.h"
#include "elements.h"

namespace bamba::tests {
namespace {

// Rows and tokens of a call, and how many layers' buffers are in rotation.
struct Timing {
  int64_t batch;
  int64_t length;
  int layers;
};

Case Bamba9BLayer(DataType type, const Timing& timing) {
  Case row;
  Mamba2Shape& shape = row.shape;
  shape.data_type = type;
  shape.num_heads = 128;
  shape.head_dim = 64;
  shape.state_size = 128;
  shape.n_groups = 1;
  shape.conv_width = 4;
  shape.chunk_size = 256;
  shape.norm_group_size = shape.inner();
  shape.epsilon = 1e-5f;
  shape.dt_min = 0;
  shape.dt_max = std::numeric_limits<float>::infinity();
  SetRows(row, std::vector<int32_t>(timing.batch, static_cast<int32_t>(timing.length)),
          timing.length);
  row.in_place = true;
  return row;
}

// Milliseconds of one call: the median of the replays of a graph in which queue(layer, stream)
// queued the call of each layer.
template <typename Queue>
double Measure(int layers, int replays, Queue queue) {
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  cudaEvent_t start;
  cudaEvent_t end;
  RequireCuda(cudaStreamCreate(&stream), "stream");
  RequireCuda(cudaEventCreate(&start), "event");
  RequireCuda(cudaEventCreate(&end), "event");
  RequireCuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (int layer = 0; layer < layers; ++layer) {
    RequireCuda(queue(layer, stream), "call");
  }
  RequireCuda(cudaStreamEndCapture(stream, &graph), "capture");
  RequireCuda(cudaGraphInstantiate(&replay, graph, 0), "graph");
  std::vector<double> times;
  for (int i = 0; i < replays + 3; ++i) {
    RequireCuda(cudaEventRecord(start, stream), "event");
    RequireCuda(cudaGraphLaunch(replay, stream), "graph");
    RequireCuda(cudaEventRecord(end, stream), "event");
    RequireCuda(cudaStreamSynchronize(stream), "replay");
    float milliseconds = 0;
    RequireCuda(cudaEventElapsedTime(&milliseconds, start, end), "event");
    if (i >= 3) {
      times.push_back(milliseconds / layers);
    }
  }
  cudaGraphExecDestroy(replay);
  cudaGraphDestroy(graph);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  cudaStreamDestroy(stream);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Prints an object of the array; more is what else there is to say, with a comma before it.
void Print(const char* name, DataType type, const Timing& timing, int replays, double median,
           const std::string& more = "") {
  static const char* separator = "[";
  std::printf(
      "%s\n  { \"operator\": \"%s\", \"type\": \"%s\", \"batch\": %lld, \"tokens\": %lld, "
      "\"layers\": "
      "%d, \"replays\": %d, \"median_ms\": %.4f%s }",
      separator, name, NameOf(type), static_cast<long long>(timing.batch),
      static_cast<long long>(timing.length), timing.layers, replays, median, more.c_str());
  std::fflush(stdout);
  separator = ",";
}

void TimeScan(const Timing& timing, DataType type, const cuda::Device& device, int replays) {
  Problem problem(Bamba9BLayer(type, timing), 1);
  const Mamba2Shape& shape = problem.shape();
  std::vector<std::unique_ptr<DeviceTensors>> layers;
  for (int i = 0; i < timing.layers; ++i) {
    layers.push_back(std::make_unique<DeviceTensors>(shape, problem.Tensors()));
  }
  const DeviceBuffer workspace(cuda::Mamba2WorkspaceBytes(shape, device));
  const double median = Measure(timing.layers, replays, [&](int layer, cudaStream_t stream) {
    return cuda::Mamba2ChunkScan(shape, layers[layer]->tensors(), workspace.data(), device, stream);
  });
  Print("Mamba2ChunkScan", type, timing, replays, median);
}

void TimeSwiGlu(const Timing& timing, DataType type, const cuda::Device& device, int replays) {
  const SwiGluShape shape = {type, timing.batch * timing.length, /*width=*/14336};
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<char> row(2 * shape.width * ElementBytes(type));
  for (int64_t i = 0; i < 2 * shape.width; ++i) {
    StoreElement(row.data(), type, i, normal(random));
  }
  std::vector<char> x;
  for (int64_t i = 0; i < shape.rows; ++i) {
    x.insert(x.end(), row.begin(), row.end());
  }
  std::vector<DeviceBuffer> inputs;
  std::vector<DeviceBuffer> outputs;
  for (int i = 0; i < timing.layers; ++i) {
    inputs.emplace_back(x.size());
    outputs.emplace_back(x.size() / 2);
    RequireCuda(cudaMemcpy(inputs.back().data(), x.data(), x.size(), cudaMemcpyHostToDevice), "x");
  }
  const double median = Measure(timing.layers, replays, [&](int layer, cudaStream_t stream) {
    return cuda::SwiGlu(shape, {inputs[layer].data(), outputs[layer].data()}, device, stream);
  });
  Print("SwiGLU", type, timing, replays, median);
}

// A product of a Bamba-9B layer with quantized weights, which are random and never zero.
void TimeMatMulNBits(int64_t rows, int64_t columns, int64_t depth, int64_t bits, int64_t block_size,
                     DataType type, const cuda::Device& device, int replays) {
  MatMulNBitsShape shape;
  shape.data_type = type;
  shape.scale_type = type;
  shape.rows = rows;
  shape.columns = columns;
  shape.depth = depth;
  shape.bits = bits;
  shape.block_size = block_size;
  // More in rotation than the second cache holds.
  constexpr int64_t kRotated = int64_t{256} << 20;
  const int64_t code_bytes = columns * shape.code_bytes();
  const int layers = static_cast<int>(std::max<int64_t>(2, kRotated / code_bytes));
  const int64_t numbers = columns * shape.groups();
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<char> x(rows * depth * ElementBytes(type));
  for (int64_t i = 0; i < rows * depth; ++i) {
    StoreElement(x.data(), type, i, normal(random));
  }
  std::vector<char> scales(numbers * ElementBytes(type));
  for (int64_t i = 0; i < numbers; ++i) {
    StoreElement(scales.data(), type, i, 0.01f);
  }
  std::vector<uint32_t> codes(code_bytes / sizeof(uint32_t));
  for (uint32_t& word : codes) {
    word = random();
  }
  const DeviceBuffer device_x(x.size());
  const DeviceBuffer y(rows * columns * ElementBytes(type));
  RequireCuda(cudaMemcpy(device_x.data(), x.data(), x.size(), cudaMemcpyHostToDevice), "x");
  std::vector<DeviceBuffer> layer_codes;
  std::vector<DeviceBuffer> layer_scales;
  for (int i = 0; i < layers; ++i) {
    layer_codes.emplace_back(code_bytes);
    layer_scales.emplace_back(scales.size());
    RequireCuda(
        cudaMemcpy(layer_codes.back().data(), codes.data(), code_bytes, cudaMemcpyHostToDevice),
        "codes");
    RequireCuda(cudaMemcpy(layer_scales.back().data(), scales.data(), scales.size(),
                           cudaMemcpyHostToDevice),
                "scales");
  }
  const DeviceBuffer workspace(cuda::FewRowsWorkspaceBytes(shape, device));
  const double median = Measure(layers, replays, [&](int layer, cudaStream_t stream) {
    const MatMulNBitsTensors tensors = {device_x.data(),
                                        static_cast<const uint8_t*>(layer_codes[layer].data()),
                                        layer_scales[layer].data(), nullptr, y.data()};
    return cuda::MultiplyFewRows(shape, tensors, /*constant_weights=*/true, workspace.data(),
                                 device, stream);
  });
  const double bytes = static_cast<double>(code_bytes) + static_cast<double>(scales.size());
  Print("MatMulNBits", type, {rows, 1, layers}, replays, median,
        ", \"bits\": " + std::to_string(bits) + ", \"block_size\": " + std::to_string(block_size) +
            ", \"N\": " + std::to_string(columns) + ", \"K\": " + std::to_string(depth) +
            ", \"weight_bytes_per_second\": " +
            std::to_string(static_cast<int64_t>(bytes / median * 1000)));
}

void TimeProducts(const cuda::Device& device, int replays) {
  // in_proj, out_proj, qkv, gate and up, down, head.
  constexpr int64_t kSizes[][2] = {{16768, 4096}, {4096, 8192},  {6144, 4096},
                                   {28672, 4096}, {4096, 14336}, {128256, 4096}};
  for (const auto& [columns, depth] : kSizes) {
    for (int64_t rows : {1, 8, 16, 64}) {
      TimeMatMulNBits(rows, columns, depth, 4, 128, DataType::kFloat16, device, replays);
    }
    TimeMatMulNBits(1, columns, depth, 4, 32, DataType::kFloat16, device, replays);
    TimeMatMulNBits(1, columns, depth, 8, 128, DataType::kFloat16, device, replays);
    TimeMatMulNBits(1, columns, depth, 4, 128, DataType::kBFloat16, device, replays);
  }
}

}  // namespace
}  // namespace bamba::tests

int main(int count, char** arguments) {
  using namespace bamba;
  using tests::Timing;
  const int replays = count > 1 ? std::atoi(arguments[1]) : 21;
  cuda::Device device;
  tests::RequireCuda(cuda::ReadDevice(0, device), "device 0");
  constexpr DataType kTypes[] = {DataType::kBFloat16, DataType::kFloat16};
  for (const Timing& timing : {Timing{1, 512, 29}, Timing{1, 2048, 29}, Timing{1, 8192, 8},
                               Timing{1, 32768, 4}, Timing{8, 2048, 4}, Timing{1, 1, 29},
                               Timing{8, 1, 29}, Timing{64, 1, 29}, Timing{256, 1, 12}}) {
    for (DataType type : kTypes) {
      tests::TimeScan(timing, type, device, replays);
    }
  }
  // What a step gates stays in the cache, as in a model, where the product before has just written
  // it.
  for (const Timing& timing :
       {Timing{1, 1, 32}, Timing{64, 1, 32}, Timing{1, 512, 8}, Timing{1, 8192, 3}}) {
    for (DataType type : kTypes) {
      tests::TimeSwiGlu(timing, type, device, replays);
    }
  }
  tests::TimeProducts(device, replays);
  std::printf("\n]\n");
  return 0;
}
