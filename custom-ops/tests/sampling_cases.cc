#include "sampling_cases.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "reference/sample_tokens_reference.h"

namespace bamba::tests {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr int32_t kVocabularies[] = {1, 2, 3, 33, 2048, 4096, 4097, 32000, 128256};
constexpr int32_t kRing = 4;

using Random = std::mt19937_64;

double Uniform(Random& random) { return std::uniform_real_distribution<double>(0, 1)(random); }

template <typename T>
T OneOf(Random& random, std::initializer_list<T> values) {
  return values.begin()[random() % values.size()];
}

// Scores of one kind: spread as a model's are, coarse so that many tie, all equal, and so on.
struct Kind {
  const char* name;
  void (*fill)(Random& random, std::vector<float>& scores);
};

void FillNormal(Random& random, std::vector<float>& scores, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  for (float& score : scores) {
    score = normal(random);
  }
}

// Some scores become others.
void Put(Random& random, std::vector<float>& scores, double share, float value) {
  for (float& score : scores) {
    score = Uniform(random) < share ? value : score;
  }
}

const Kind kKinds[] = {
    {"as of a model", [](Random& random, auto& scores) { FillNormal(random, scores, 2.5f); }},
    {"narrow", [](Random& random, auto& scores) { FillNormal(random, scores, 0.05f); }},
    {"wide", [](Random& random, auto& scores) { FillNormal(random, scores, 100); }},
    {"coarse",
     [](Random& random, auto& scores) {
       FillNormal(random, scores, 3);
       for (float& score : scores) {
         score = std::round(score * 2) / 2;  // -0 too
       }
     }},
    {"all equal",
     [](Random& random, auto& scores) {
       std::fill(scores.begin(), scores.end(), OneOf(random, {0.0f, -3.5f, 1e30f, -1e-40f}));
     }},
    {"not numbers among them",
     [](Random& random, auto& scores) {
       FillNormal(random, scores, 2);
       Put(random, scores, 0.3, kNaN);
       Put(random, scores, 0.1, -kNaN);
       Put(random, scores, 0.3, -kInfinity);
     }},
    {"infinite ones among them",
     [](Random& random, auto& scores) {
       FillNormal(random, scores, 2);
       Put(random, scores, 0.2, kInfinity);
       Put(random, scores, 0.2, -kInfinity);
       Put(random, scores, 0.1, kNaN);
     }},
    {"huge",
     [](Random& random, auto& scores) {
       FillNormal(random, scores, 1e38f);
       Put(random, scores, 0.1, std::numeric_limits<float>::max());
       Put(random, scores, 0.1, std::numeric_limits<float>::lowest());
     }},
    {"nothing to choose",
     [](Random& random, auto& scores) {
       std::fill(scores.begin(), scores.end(), -kInfinity);
       Put(random, scores, 0.5, kNaN);
     }},
    {"one to choose",
     [](Random& random, auto& scores) {
       std::fill(scores.begin(), scores.end(), kNaN);
       scores[random() % scores.size()] = -7;
     }},
};

BambaSamplingRow RandomOptions(Random& random, int32_t vocab) {
  BambaSamplingRow options;
  options.temperature = OneOf(random, {0.0, 1e-6, 0.3, 0.7, 1.0, 1.0, 1.3, 2.0, 100.0});
  options.top_k = OneOf(random, {0, 0, 0, 1, 2, 40, 1000, vocab - 1, vocab, vocab + 7});
  options.top_k = std::max(options.top_k, 0);
  options.top_p = OneOf(random, {1.0, 1.0, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-9});
  options.min_p = OneOf(random, {0.0, 0.0, 0.0, 1e-9, 0.01, 0.1, 0.5, 1.0});
  options.seed = random();
  options.last_position = static_cast<int32_t>(random() % 4000);
  return options;
}

// A step and the memory that it points to.
struct StepMemory {
  std::vector<float> logits;
  std::vector<BambaSamplingRow> options;
  std::vector<int32_t> end_tokens;
  std::vector<int32_t> past_lens;
  std::vector<int32_t> seq_lens;
  std::vector<int64_t> next_tokens;
  std::vector<int32_t> emitted;
  bool advance = false;

  StepMemory(Random& random, const Kind& kind, int32_t rows, int32_t vocab)
      : next_tokens(rows, -5), emitted(kRing * rows, -5), advance(random() % 2 == 0) {
    std::vector<float> row(vocab);
    for (int32_t r = 0; r < rows; ++r) {
      kind.fill(random, row);
      logits.insert(logits.end(), row.begin(), row.end());
      options.push_back(RandomOptions(random, vocab));
      past_lens.push_back(static_cast<int32_t>(random() % 4000));
      seq_lens.push_back(static_cast<int32_t>(random() % 4));
    }
    for (uint64_t i = random() % 3; i > 0; --i) {
      end_tokens.push_back(static_cast<int32_t>(random() % std::min(vocab, 5)));
    }
  }

  BambaSamplingStep Step(int32_t vocab) {
    BambaSamplingStep step;
    step.logits = logits.data();
    step.options = options.data();
    step.end_tokens = end_tokens.data();
    step.end_token_count = static_cast<int32_t>(end_tokens.size());
    step.rows = static_cast<int32_t>(options.size());
    step.vocab = vocab;
    step.advance = advance ? 1 : 0;
    step.past_lens = past_lens.data();
    step.seq_lens = seq_lens.data();
    step.next_tokens = next_tokens.data();
    step.emitted = emitted.data();
    step.ring = kRing;
    return step;
  }
};

std::string Describe(const StepMemory& memory, size_t r, int64_t expected, int64_t found) {
  char text[256];
  const BambaSamplingRow& options = memory.options[r];
  std::snprintf(text, sizeof(text),
                "row %zu of temperature %g, top-k %d, top-p %.12g, min-p %g: expected %lld, "
                "found %lld",
                r, options.temperature, options.top_k, options.top_p, options.min_p,
                static_cast<long long>(expected), static_cast<long long>(found));
  return text;
}

// What differs, or nothing.
std::string Difference(const StepMemory& expected, const StepMemory& found) {
  for (size_t r = 0; r < expected.options.size(); ++r) {
    if (expected.next_tokens[r] != found.next_tokens[r]) {
      return Describe(found, r, expected.next_tokens[r], found.next_tokens[r]);
    }
  }
  return expected.emitted != found.emitted       ? "other tokens are emitted"
         : expected.seq_lens != found.seq_lens   ? "other rows rest"
         : expected.past_lens != found.past_lens ? "the lengths differ"
                                                 : "";
}

}  // namespace

void RunSampling(const std::string& name, const SampleTokensFunction& implementation,
                 int32_t most_scores, int repeats, Tally& tally) {
  for (const int32_t vocab : kVocabularies) {
    for (const Kind& kind : kKinds) {
      if (vocab > most_scores) {
        continue;
      }
      Random random(vocab + 1000003 * static_cast<uint64_t>(&kind - kKinds));
      std::string problem;
      for (int i = 0; i < repeats && problem.empty(); ++i) {
        const int32_t rows = OneOf(random, {1, 3, 8});
        StepMemory expected(random, kind, rows, vocab);
        StepMemory found = expected;
        reference::SampleTokens(expected.Step(vocab));
        implementation(found.Step(vocab));
        problem = Difference(expected, found);
      }
      ++(problem.empty() ? tally.passed : tally.failed);
      if (!problem.empty()) {
        std::printf("FAILED %s, %d scores, %s: %s\n", name.c_str(), vocab, kind.name,
                    problem.c_str());
      }
    }
  }
}

}  // namespace bamba::tests
