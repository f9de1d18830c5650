// The last rank that top-k, top-p and min-p keep, by radix selection: bands of scores tell the band
// in which it lies, then digits of the ranks in that band, eleven bits at a time. The filters keep
// the beginning of one ranking, so the shortest beginning is what all keep.

#ifndef BAMBA_KERNELS_SAMPLE_CUT_H_
#define BAMBA_KERNELS_SAMPLE_CUT_H_

#include <cmath>

#include "sample_stages.h"

namespace bamba::sampling {

// Ranks of a band that are kept at hand; those of a fuller band are read from the scores each time.
constexpr int kCandidates = 4096;
constexpr int kDigitBits = 11;
static_assert(1 << kDigitBits == kBands, "digits are counted where bands were");

// A team's own memory.
struct CutMemory {
  Tally bins[kBands];
  Rank candidates[kCandidates];
  Tally before;
  Rank found;
  int32_t count;
};

// What the sum over the first tokens must reach.
struct Goal {
  uint64_t count;
  double mass;

  BAMBA_STAGE static Goal Count(int32_t count) { return {static_cast<uint64_t>(count), 0}; }
  BAMBA_STAGE static Goal Mass(double mass) { return {0, mass}; }

  BAMBA_STAGE bool ReachedBy(const Tally& tally) const {
    return count > 0 ? tally.count() >= count : tally.mass() >= mass;
  }
};

// A place in the ranking, and the sum over all tokens up to it.
struct Place {
  Rank rank;
  Tally through;
};

// A place among bins, and the sum over all before it.
struct Bin {
  int32_t index;
  Tally before;
};

// The bands whose tokens are at hand: those from `first` up to `end`.
struct Hand {
  int32_t first = 0;
  int32_t end = 0;

  BAMBA_STAGE bool Has(int32_t band) const { return first <= band && band < end; }
};

// A row's tokens of one band, in no order.
template <typename Team>
struct Band {
  const Row& row;
  const Softmax& softmax;
  CutMemory& memory;
  int32_t index;
  bool at_hand;

  template <typename Visit>
  BAMBA_STAGE void ForEach(const Team& team, Visit visit) const {
    if (at_hand) {
      for (int32_t i = team.rank(); i < memory.count; i += team.size()) {
        const Rank rank = memory.candidates[i];
        if (BandOf(ScoreOf(rank), softmax.highest) == index) {
          visit(rank);
        }
      }
    } else {
      ForEachInRow(team, {index, index + 1}, visit);
    }
  }

  template <typename Visit>
  BAMBA_STAGE void ForEachInRow(const Team& team, Hand bands, Visit visit) const {
    ForEachToken<8>(row, team.rank(), row.vocab, team.size(), [&](float score, int32_t id) {
      if (bands.Has(BandOf(score, softmax.highest))) {
        visit(RankOf(score, id));
      }
    });
  }

  // Puts the band's tokens at hand if there is room, and if there is more those of all bands before
  // it, among which the next place may lie.
  BAMBA_STAGE void Gather(Team& team, uint64_t before, uint64_t inside, Hand& hand) {
    if (!hand.Has(index)) {
      hand = before + inside <= kCandidates ? Hand{0, index + 1} : Hand{index, index + 1};
      hand = inside <= kCandidates ? hand : Hand{};
      if (team.rank() == 0) {
        memory.count = 0;
      }
      team.Sync();
      if (hand.Has(index)) {
        ForEachInRow(team, hand,
                     [&](Rank rank) { memory.candidates[team.Next(memory.count)] = rank; });
      }
      team.Sync();
    }
    at_hand = hand.Has(index);
  }
};

// Reads the row's bands, and gives the sum of all.
template <typename Team>
BAMBA_STAGE Tally LoadBands(Team& team, const Tally* bands, CutMemory& memory) {
  Tally sum;
  for (int32_t i = team.rank(); i < kBands; i += team.size()) {
    memory.bins[i] = bands[i];
    sum = sum + bands[i];
  }
  const Tally before = {team.Exclusive(sum.units), team.Exclusive(sum.rest)};
  if (team.rank() == team.size() - 1) {
    memory.before = before + sum;
  }
  team.Sync();
  const Tally total = memory.before;
  team.Sync();
  return total;
}

// The bin with which the sum first reaches a goal; the last that is not empty where rounding keeps
// it below.
template <typename Team>
BAMBA_STAGE Bin FindBin(Team& team, CutMemory& memory, const Goal& goal, const Tally& start) {
  const int32_t begin = static_cast<int32_t>(int64_t{kBands} * team.rank() / team.size());
  const int32_t end = static_cast<int32_t>(int64_t{kBands} * (team.rank() + 1) / team.size());
  Tally sum;
  for (int32_t i = begin; i < end; ++i) {
    sum = sum + memory.bins[i];
  }
  const Tally before = start + Tally{team.Exclusive(sum.units), team.Exclusive(sum.rest)};
  int32_t first = kBands;
  int32_t last = -1;
  Tally through = before;
  for (int32_t i = begin; i < end; ++i) {
    through = through + memory.bins[i];
    if (memory.bins[i].rest != 0) {
      last = i;
      first = first == kBands && goal.ReachedBy(through) ? i : first;
    }
  }
  int32_t found = static_cast<int32_t>(team.Min(static_cast<uint64_t>(first)));
  const int32_t from_end = static_cast<int32_t>(team.Min(static_cast<uint64_t>(kBands - last)));
  found = found == kBands ? kBands - from_end : found;
  if (begin <= found && found < end) {
    through = before;
    for (int32_t i = begin; i < found; ++i) {
      through = through + memory.bins[i];
    }
    memory.before = through;
  }
  team.Sync();
  return {found, memory.before};
}

// The only token of a band whose rank starts with these bits.
template <typename Team>
BAMBA_STAGE Rank FindOnly(Team& team, const Band<Team>& band, Rank prefix, int shift) {
  band.ForEach(team, [&](Rank rank) {
    if (rank >> shift == prefix) {
      band.memory.found = rank;
    }
  });
  team.Sync();
  return band.memory.found;
}

// The place at which the sum first reaches a goal. The memory's bins are the row's bands, and are
// something else after it.
template <typename Team>
BAMBA_STAGE Place FindPlace(Team& team, const Row& row, const Softmax& softmax, CutMemory& memory,
                            const Goal& goal, Hand& hand) {
  Bin bin = FindBin(team, memory, goal, Tally{});
  Tally inside = memory.bins[bin.index];
  Band<Team> band = {row, softmax, memory, bin.index, false};
  team.Sync();
  band.Gather(team, bin.before.count(), inside.count(), hand);
  Rank prefix = 0;
  for (int above = kRankBits; inside.count() > 1;) {
    const int shift = above > kDigitBits ? above - kDigitBits : 0;
    for (int32_t i = team.rank(); i < kBands; i += team.size()) {
      memory.bins[i] = Tally{};
    }
    team.Sync();
    band.ForEach(team, [&](Rank rank) {
      if (rank >> above == prefix) {
        const int32_t digit =
            static_cast<int32_t>((rank >> shift) & ((Rank{1} << (above - shift)) - 1));
        team.AddToOwn(memory.bins[digit], TallyOf(softmax.WeightOf(ScoreOf(rank))));
      }
    });
    team.Sync();
    bin = FindBin(team, memory, goal, bin.before);
    inside = memory.bins[bin.index];
    prefix = prefix << (above - shift) | static_cast<Rank>(bin.index);
    above = shift;
    team.Sync();
    if (inside.count() == 1) {
      return {FindOnly(team, band, prefix, shift), bin.before + inside};
    }
  }
  return {FindOnly(team, band, Rank{0}, kRankBits), bin.before + inside};
}

template <typename Team>
BAMBA_STAGE Rank CutOf(Team& team, const Row& row, const Softmax& softmax, const Tally* bands,
                       CutMemory& memory) {
  Rank cut = kNoRank;
  if (row.ranks()) {
    Hand hand;
    Tally total = LoadBands(team, bands, memory);
    if (row.has_top_k()) {
      const Place last =
          FindPlace(team, row, softmax, memory, Goal::Count(row.options.top_k), hand);
      cut = last.rank;
      total = last.through;
      team.Sync();
    }
    if (row.options.top_p < 1) {
      if (row.has_top_k()) {
        LoadBands(team, bands, memory);
      }
      const Goal goal = Goal::Mass(row.options.top_p * total.mass());
      const Rank last = FindPlace(team, row, softmax, memory, goal, hand).rank;
      cut = last < cut ? last : cut;
    }
  }
  if (row.options.min_p > 0) {
    const double score = softmax.highest > std::numeric_limits<float>::max()
                             ? softmax.highest
                             : softmax.highest + softmax.temperature * std::log(row.options.min_p);
    const Rank last = LastAtLeast(score);
    cut = last < cut ? last : cut;
  }
  return cut;
}

template <typename Team>
BAMBA_STAGE void FindCut(Team& team, const BambaSamplingStep& step, int32_t r, CutMemory& memory) {
  const Row row(step, r);
  if (!row.draws()) {
    return;
  }
  const Workspace workspace(step);
  const Rank first = HighestOf(team, step, r);
  // A row without a score to choose has no token before the cut either; the stages after this one
  // read it all the same.
  Rank cut = kNoRank;
  if (first != kNoRank) {
    const Softmax softmax = {ScoreOf(first), row.options.temperature};
    const Tally* bands = workspace.bands + static_cast<int64_t>(r) * kBands;
    cut = CutOf(team, row, softmax, bands, memory);
  }
  if (team.rank() == 0) {
    workspace.cuts[r] = cut;
  }
}

}  // namespace bamba::sampling

#endif  // BAMBA_KERNELS_SAMPLE_CUT_H_
