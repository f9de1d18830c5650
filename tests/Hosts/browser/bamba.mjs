// A folder of bamba-onnx export --profiles web on onnxruntime-web: tokens in, tokens out. An export with --dtype f32
// needs no more than this, whatever the bits of its matrices.
import { Tokenizer } from '@huggingface/tokenizers';
import * as ort from 'onnxruntime-web';

// More threads would need a server that isolates the page from other origins.
ort.env.wasm.numThreads = 1;

export class BambaModel {
  #session;
  #tokenizer;

  constructor(session, tokenizer) {
    this.#session = session;
    this.#tokenizer = tokenizer;
  }

  /** Loads a model from the folder at an address. */
  static async load(folder) {
    const [config, tokenizer, names] = await Promise.all(
      ['config.json', 'tokenizer.json', 'tokenizer_config.json'].map(async (file) =>
        (await fetch(`${folder}/${file}`)).json(),
      ),
    );
    // The graph's name tells the type of its weights; the configuration has it for transformers.js, with how many files they are in.
    const [[graph, count]] = Object.entries(config['transformers.js_config'].use_external_data_format);
    const weights = Array.from({ length: count }, (_, i) => `${graph}_data${i ? `_${i}` : ''}`);
    const session = await ort.InferenceSession.create(`${folder}/onnx/${graph}`, {
      executionProviders: ['wasm'],
      externalData: weights.map((path) => ({ path, data: `${folder}/onnx/${path}` })),
    });
    return new BambaModel(session, new Tokenizer(tokenizer, names));
  }

  encode(text) {
    return this.#tokenizer.encode(text).ids;
  }

  decode(tokens) {
    return this.#tokenizer.decode(tokens, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /** The likeliest continuation, token by token. */
  async *generate(prompt, count) {
    const mask = [];
    let caches = this.#emptyCaches();
    for (let [next, made] = [prompt, 0]; made < count; made++) {
      mask.push(...next.map(() => 1));
      const results = await this.#session.run({ input_ids: int64(next), attention_mask: int64(mask), ...caches });
      // What comes out as present is the past of the next call.
      caches = Object.fromEntries(Object.keys(caches).map((name) => [name, results[presentOf(name)]]));
      next = [likeliest(results.logits)];
      yield next[0];
    }
  }

  /** At first states are zeros, and keys and values have no tokens: of the axes with names only the batch has a size. */
  #emptyCaches() {
    const caches = {};
    for (const { name, type, shape } of this.#session.inputMetadata.filter(({ name }) => name.startsWith('past'))) {
      const sizes = shape.map((axis) => (axis === 'batch_size' ? 1 : typeof axis === 'string' ? 0 : axis));
      caches[name] = new ort.Tensor(type, new Float32Array(sizes.reduce((a, b) => a * b)), sizes);
    }
    return caches;
  }
}

function presentOf(past) {
  return past.replace(/^past(_key_values)?/, 'present');
}

function int64(values) {
  return new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [1, values.length]);
}

/** The token of the highest score at the last position. */
function likeliest({ data, dims }) {
  const scores = data.subarray(-dims.at(-1));
  return scores.reduce((best, score, token) => (score > scores[best] ? token : best), 0);
}
