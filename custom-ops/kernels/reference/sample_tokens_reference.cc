#include "sample_tokens_reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sample_numbers.h"

namespace bamba::reference {
namespace {

using sampling::Softmax;

struct Token {
  int32_t id;
  float score;
};

bool RanksBefore(const Token& a, const Token& b) {
  return a.score != b.score ? a.score > b.score : a.id < b.id;
}

double SumOf(const std::vector<Token>& tokens, const Softmax& softmax) {
  double sum = 0;
  for (const Token& token : tokens) {
    sum += softmax.WeightOf(token.score);
  }
  return sum;
}

void KeepNucleus(std::vector<Token>& ranked, const Softmax& softmax, double top_p) {
  const double target = top_p * SumOf(ranked, softmax);
  double sum = 0;
  for (size_t i = 0; i < ranked.size(); ++i) {
    sum += softmax.WeightOf(ranked[i].score);
    if (sum >= target) {
      ranked.resize(i + 1);
      return;
    }
  }
}

void KeepLikely(std::vector<Token>& ranked, const Softmax& softmax, double min_p) {
  const double score = std::isinf(softmax.highest)
                           ? softmax.highest
                           : softmax.highest + softmax.temperature * std::log(min_p);
  const double lowest = std::numeric_limits<float>::lowest();
  const float least = static_cast<float>(std::max(score, lowest));
  std::erase_if(ranked, [&](const Token& token) { return token.score < least; });
}

int32_t DrawFrom(std::vector<Token> left, const Softmax& softmax, double point) {
  std::sort(left.begin(), left.end(), [](const Token& a, const Token& b) { return a.id < b.id; });
  const double target = point * SumOf(left, softmax);
  double sum = 0;
  int32_t last = -1;
  for (const Token& token : left) {
    const double weight = softmax.WeightOf(token.score);
    sum += weight;
    last = weight > 0 ? token.id : last;
    if (weight > 0 && sum > target) {
      break;
    }
  }
  return last;
}

int32_t Choose(const float* scores, int32_t vocab, const BambaSamplingRow& options,
               int32_t position) {
  std::vector<Token> ranked;
  for (int32_t id = 0; id < vocab; ++id) {
    if (sampling::Counts(scores[id])) {
      ranked.push_back({id, scores[id]});
    }
  }
  if (ranked.empty()) {
    return -1;
  }
  std::sort(ranked.begin(), ranked.end(), RanksBefore);
  if (options.temperature == 0) {
    return ranked[0].id;
  }
  const Softmax softmax = {ranked[0].score, options.temperature};
  if (options.top_k > 0 && options.top_k < static_cast<int64_t>(ranked.size())) {
    ranked.resize(options.top_k);
  }
  if (options.top_p < 1) {
    KeepNucleus(ranked, softmax, options.top_p);
  }
  if (options.min_p > 0) {
    KeepLikely(ranked, softmax, options.min_p);
  }
  return DrawFrom(std::move(ranked), softmax, sampling::Uniform(options.seed, position));
}

}  // namespace

void SampleTokens(const BambaSamplingStep& step) {
  for (int32_t r = 0; r < step.rows; ++r) {
    step.past_lens[r] += step.advance != 0 ? step.seq_lens[r] : 0;
    if (step.seq_lens[r] == 0) {
      continue;
    }
    const int32_t position = step.past_lens[r];
    const float* scores = step.logits + static_cast<int64_t>(r) * step.vocab;
    const int32_t token = Choose(scores, step.vocab, step.options[r], position);
    if (token >= 0) {
      step.next_tokens[r] = token;
    }
    step.emitted[static_cast<int64_t>(position % step.ring) * step.rows + r] = token;
    const int32_t* end = step.end_tokens + step.end_token_count;
    if (token < 0 || position >= step.options[r].last_position ||
        std::find(step.end_tokens, end, token) != end) {
      step.seq_lens[r] = 0;
    }
  }
}

}  // namespace bamba::reference
