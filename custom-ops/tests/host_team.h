// Threads of the host as a team for the stages that choose tokens.

#ifndef BAMBA_TESTS_HOST_TEAM_H_
#define BAMBA_TESTS_HOST_TEAM_H_

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <vector>

#include "sample_numbers.h"

namespace bamba::tests {

// What the threads of a team share.
struct TeamRoom {
  explicit TeamRoom(int size) : size(size), barrier(size), integers(size), doubles(size) {}

  int size;
  std::barrier<> barrier;
  std::vector<uint64_t> integers;
  std::vector<double> doubles;
};

// A thread of a team.
class HostTeam {
 public:
  HostTeam(TeamRoom& room, int rank) : room_(room), rank_(rank) {}

  int rank() const { return rank_; }
  int size() const { return room_.size; }

  void Sync() { room_.barrier.arrive_and_wait(); }

  uint64_t Min(uint64_t value) {
    room_.integers[rank_] = value;
    Sync();
    const uint64_t least = *std::min_element(room_.integers.begin(), room_.integers.end());
    Sync();
    return least;
  }

  uint64_t Exclusive(uint64_t value) { return SumBefore(room_.integers, value); }
  double Exclusive(double value) { return SumBefore(room_.doubles, value); }

  void AddToOwn(sampling::Tally& tally, const sampling::Tally& more) const {
    std::atomic_ref<uint64_t>(tally.units) += more.units;
    std::atomic_ref<uint64_t>(tally.rest) += more.rest;
  }

  void AddToAll(sampling::Tally& tally, const sampling::Tally& more) const {
    AddToOwn(tally, more);
  }

  int32_t Next(int32_t& count) const { return std::atomic_ref<int32_t>(count)++; }

  void Publish(int32_t* place, int32_t value) const { *place = value; }

 private:
  template <typename T>
  T SumBefore(std::vector<T>& values, T value) {
    values[rank_] = value;
    Sync();
    T sum = 0;
    for (int i = 0; i < rank_; ++i) {
      sum += values[i];
    }
    Sync();
    return sum;
  }

  TeamRoom& room_;
  int rank_;
};

// All stages of a step in host memory, the team one of so many threads.
void SampleTokensByStages(const BambaSamplingStep& step, int threads);

}  // namespace bamba::tests

#endif  // BAMBA_TESTS_HOST_TEAM_H_
