// Choosing tokens in five stages, each run by a team of threads for a row, or for a chunk of one:
// on a device a block is a team and a stage a kernel. The host has teams too, so that tests run the
// stages where no device is.
//
//   FindHighest   a chunk's token that ranks first
//   CountBands    a chunk's tokens, counted and weighed by bands of scores (top-k and top-p only)
//   FindCut       the last rank that all filters keep
//   SumChunk      what a chunk's tokens weigh that are left
//   Choose        the draw, and what follows from it
//
// A Team has rank(), size(), Sync(), Min of all ranks' values and Exclusive, the sum of those of
// the ranks before, in a fixed order; all ranks must call these. Its additions may meet.

#ifndef BAMBA_KERNELS_SAMPLE_STAGES_H_
#define BAMBA_KERNELS_SAMPLE_STAGES_H_

#include <cstddef>

#include "sample_numbers.h"

#if defined(__CUDACC__)
#define BAMBA_STAGE __device__ inline
#define BAMBA_UNROLL _Pragma("unroll")
#else
#define BAMBA_STAGE inline
#define BAMBA_UNROLL
#endif

namespace bamba::sampling {

// Tokens of a chunk: a draw goes through one of them token by token. Of one size whatever the
// rows are, so that a row of a batch gives what it gives alone.
constexpr int32_t kChunk = 4096;

BAMBA_BOTH int32_t ChunksOf(int32_t vocab) { return (vocab + kChunk - 1) / kChunk; }

// What the stages leave to each other, by row. Aligned to 16.
struct Workspace {
  Tally* bands;   // [rows, kBands]
  Rank* highest;  // [rows, chunks]
  double* sums;   // [rows, chunks]
  Rank* cuts;     // [rows]

  static size_t Bytes(int32_t rows, int32_t vocab) {
    const size_t chunks = ChunksOf(vocab);
    return rows *
           (kBands * sizeof(Tally) + chunks * (sizeof(Rank) + sizeof(double)) + sizeof(Rank));
  }

  BAMBA_BOTH explicit Workspace(const BambaSamplingStep& step)
      : bands(static_cast<Tally*>(step.workspace)),
        highest(reinterpret_cast<Rank*>(bands + static_cast<int64_t>(step.rows) * kBands)),
        sums(reinterpret_cast<double*>(highest +
                                       static_cast<int64_t>(step.rows) * ChunksOf(step.vocab))),
        cuts(reinterpret_cast<Rank*>(sums +
                                     static_cast<int64_t>(step.rows) * ChunksOf(step.vocab))) {}
};

// A row of a step.
struct Row {
  const float* scores;  // [vocab]
  BambaSamplingRow options;
  int32_t vocab;
  bool rests;

  BAMBA_STAGE Row(const BambaSamplingStep& step, int32_t row)
      : scores(step.logits + static_cast<int64_t>(row) * step.vocab),
        options(step.options[row]),
        vocab(step.vocab),
        rests(step.seq_lens[row] == 0) {}

  BAMBA_STAGE bool draws() const { return !rests && options.temperature > 0; }
  BAMBA_STAGE bool has_top_k() const { return options.top_k > 0 && options.top_k < vocab; }
  BAMBA_STAGE bool ranks() const { return draws() && (has_top_k() || options.top_p < 1); }
};

// Visits every so many of the tokens from `begin` to `end` that count, in ascending order, with
// kLoads loads under way at once.
template <int kLoads, typename Visit>
BAMBA_STAGE void ForEachToken(const Row& row, int32_t begin, int32_t end, int32_t stride,
                              Visit visit) {
  end = end < row.vocab ? end : row.vocab;
  for (int32_t start = begin; start < end; start += kLoads * stride) {
    float scores[kLoads];
    BAMBA_UNROLL
    for (int i = 0; i < kLoads; ++i) {
      const int32_t id = start + i * stride;
      scores[i] = id < end ? row.scores[id] : -std::numeric_limits<float>::infinity();
    }
    BAMBA_UNROLL
    for (int i = 0; i < kLoads; ++i) {
      if (Counts(scores[i])) {
        visit(scores[i], start + i * stride);
      }
    }
  }
}

// Visits the tokens of a chunk that count, each by one rank of the team.
template <typename Team, typename Visit>
BAMBA_STAGE void ForEachOfChunk(const Team& team, const Row& row, int32_t chunk, Visit visit) {
  ForEachToken<4>(row, chunk * kChunk + team.rank(), (chunk + 1) * kChunk, team.size(), visit);
}

template <typename Team>
BAMBA_STAGE void FindHighest(Team& team, const BambaSamplingStep& step, int32_t r, int32_t chunk) {
  const Workspace workspace(step);
  const int32_t chunks = ChunksOf(step.vocab);
  for (int32_t i = chunk * team.size() + team.rank(); i < kBands; i += chunks * team.size()) {
    workspace.bands[static_cast<int64_t>(r) * kBands + i] = Tally{};
  }
  const Row row(step, r);
  if (row.rests) {
    return;
  }
  Rank best = kNoRank;
  ForEachOfChunk(team, row, chunk, [&](float score, int32_t id) {
    const Rank rank = RankOf(score, id);
    best = rank < best ? rank : best;
  });
  best = team.Min(best);
  if (team.rank() == 0) {
    workspace.highest[static_cast<int64_t>(r) * chunks + chunk] = best;
  }
}

// The rank of the row's first token, kNoRank where none counts.
template <typename Team>
BAMBA_STAGE Rank HighestOf(Team& team, const BambaSamplingStep& step, int32_t r) {
  const int32_t chunks = ChunksOf(step.vocab);
  const Rank* of_chunks = Workspace(step).highest + static_cast<int64_t>(r) * chunks;
  Rank best = kNoRank;
  for (int32_t i = team.rank(); i < chunks; i += team.size()) {
    best = of_chunks[i] < best ? of_chunks[i] : best;
  }
  return team.Min(best);
}

// `bands` is the team's own, [kBands].
template <typename Team>
BAMBA_STAGE void CountBands(Team& team, const BambaSamplingStep& step, int32_t r, int32_t chunk,
                            Tally* bands) {
  const Row row(step, r);
  if (!row.ranks()) {
    return;
  }
  const Rank first = HighestOf(team, step, r);
  const Softmax softmax = {ScoreOf(first), row.options.temperature};
  for (int32_t i = team.rank(); i < kBands; i += team.size()) {
    bands[i] = Tally{};
  }
  team.Sync();
  ForEachOfChunk(team, row, chunk, [&](float score, int32_t) {
    team.AddToOwn(bands[BandOf(score, softmax.highest)], TallyOf(softmax.WeightOf(score)));
  });
  team.Sync();
  Tally* of_row = Workspace(step).bands + static_cast<int64_t>(r) * kBands;
  for (int32_t i = team.rank(); i < kBands; i += team.size()) {
    if (bands[i].rest != 0) {
      team.AddToAll(of_row[i], bands[i]);
    }
  }
}

// A rank's ids of a chunk, and what those up to the cut weigh.
struct Stretch {
  int32_t begin;
  int32_t end;

  template <typename Team>
  BAMBA_STAGE Stretch(const Team& team, int32_t chunk)
      : begin(chunk * kChunk + kChunk * team.rank() / team.size()),
        end(chunk * kChunk + kChunk * (team.rank() + 1) / team.size()) {}

  // Calls visit(weight, id) in ascending order of ids.
  template <typename Visit>
  BAMBA_STAGE void ForEach(const Row& row, const Softmax& softmax, Rank cut, Visit visit) const {
    ForEachToken<4>(row, begin, end, 1, [&](float score, int32_t id) {
      if (RankOf(score, id) <= cut) {
        visit(softmax.WeightOf(score), id);
      }
    });
  }

  BAMBA_STAGE double Sum(const Row& row, const Softmax& softmax, Rank cut) const {
    double sum = 0;
    ForEach(row, softmax, cut, [&](double weight, int32_t) { sum += weight; });
    return sum;
  }
};

template <typename Team>
BAMBA_STAGE void SumChunk(Team& team, const BambaSamplingStep& step, int32_t r, int32_t chunk) {
  const Row row(step, r);
  if (!row.draws()) {
    return;
  }
  const Workspace workspace(step);
  const Rank first = HighestOf(team, step, r);
  const Softmax softmax = {ScoreOf(first), row.options.temperature};
  const double sum = Stretch(team, chunk).Sum(row, softmax, workspace.cuts[r]);
  const double before = team.Exclusive(sum);
  if (team.rank() == team.size() - 1) {
    workspace.sums[static_cast<int64_t>(r) * ChunksOf(step.vocab) + chunk] = before + sum;
  }
}

// Where a draw falls: a chunk, and the sum of all chunks before it.
struct Fall {
  int32_t chunk = 0;
  double before = 0;
  double target = 0;

  // The last chunk of any weight is meant where rounding carries the target past the end.
  BAMBA_STAGE Fall(const double* sums, int32_t chunks, double point) {
    double total = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < chunks; ++i) {
      total += sums[i];
      last = sums[i] > 0 ? i : last;
    }
    target = point * total;
    while (chunk < last && before + sums[chunk] <= target) {
      before += sums[chunk++];
    }
  }
};

// The first id at which the running sum exceeds the draw's share of all.
template <typename Team>
BAMBA_STAGE int32_t Draw(Team& team, const BambaSamplingStep& step, int32_t r, const Row& row,
                         Rank first, int32_t position) {
  const Workspace workspace(step);
  const int32_t chunks = ChunksOf(row.vocab);
  const Softmax softmax = {ScoreOf(first), row.options.temperature};
  const Fall fall(workspace.sums + static_cast<int64_t>(r) * chunks, chunks,
                  Uniform(row.options.seed, static_cast<uint64_t>(position)));
  const Rank cut = workspace.cuts[r];
  const Stretch stretch(team, fall.chunk);
  const double own = stretch.Sum(row, softmax, cut);
  const double before = fall.before + team.Exclusive(own);
  const int size = team.size();
  const bool exceeds = own > 0 && before + own > fall.target;
  int winner = static_cast<int>(team.Min(static_cast<uint64_t>(exceeds ? team.rank() : size)));
  const int from_end =
      static_cast<int>(team.Min(static_cast<uint64_t>(own > 0 ? size - team.rank() : size)));
  // Where rounding carries the target past the end, the last token of any weight is meant.
  winner = winner < size ? winner : size - from_end;
  int32_t chosen = kMostTokens;
  if (team.rank() == winner) {
    double sum = before;
    stretch.ForEach(row, softmax, cut, [&](double weight, int32_t id) {
      if (weight > 0 && (sum <= fall.target || chosen == kMostTokens)) {
        sum += weight;
        chosen = id;
      }
    });
  }
  return static_cast<int32_t>(team.Min(static_cast<uint64_t>(chosen)));
}

// What a token changes, by one thread. `token` is -1 where none could be chosen.
template <typename Team>
BAMBA_STAGE void Emit(const Team& team, const BambaSamplingStep& step, int32_t r, int32_t position,
                      int32_t token, int32_t last_position) {
  bool ends = token < 0 || position >= last_position;
  for (int32_t i = 0; i < step.end_token_count; ++i) {
    ends = ends || step.end_tokens[i] == token;
  }
  if (token >= 0) {
    step.next_tokens[r] = token;
  }
  if (ends) {
    step.seq_lens[r] = 0;
  }
  team.Publish(step.emitted + static_cast<int64_t>(position % step.ring) * step.rows + r, token);
}

template <typename Team>
BAMBA_STAGE void Choose(Team& team, const BambaSamplingStep& step, int32_t r) {
  const Row row(step, r);
  if (row.rests) {
    return;
  }
  const int32_t position = step.past_lens[r] + (step.advance != 0 ? step.seq_lens[r] : 0);
  const Rank first = HighestOf(team, step, r);
  int32_t token = -1;
  if (first != kNoRank) {
    token = row.draws() ? Draw(team, step, r, row, first, position) : IdOf(first);
  }
  // Every thread has read the lengths by now.
  if (team.rank() == 0) {
    step.past_lens[r] = position;
    Emit(team, step, r, position, token, row.options.last_position);
  }
}

}  // namespace bamba::sampling

#endif  // BAMBA_KERNELS_SAMPLE_STAGES_H_
