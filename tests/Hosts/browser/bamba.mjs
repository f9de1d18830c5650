// A folder of bamba-onnx export --profiles web on onnxruntime-web: tokens in, tokens out. A float32 export needs no more than this.
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
    const [tokenizer, config] = await Promise.all(
      ['tokenizer.json', 'tokenizer_config.json'].map(async (name) => (await fetch(`${folder}/${name}`)).json()),
    );
    const graph = `${folder}/onnx/model.onnx`;
    const session = await ort.InferenceSession.create(graph, {
      executionProviders: ['wasm'],
      externalData: [{ path: 'model.onnx_data', data: `${graph}_data` }],
    });
    return new BambaModel(session, new Tokenizer(tokenizer, config));
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
