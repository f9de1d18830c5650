// Continues token ids greedily with a model.onnx of bamba-onnx export, on onnxruntime-node alone.
//
//   echo "2043 84 101" | node generate.mjs MODEL [COUNT]
//
// A line of ids in, a line of COUNT ids out. A float32 export needs no more than this.
import { createInterface } from 'node:readline';
import * as ort from 'onnxruntime-node';

const [folder, count = '48'] = process.argv.slice(2);
const session = await ort.InferenceSession.create(`${folder}/model.onnx`);

for await (const line of createInterface({ input: process.stdin })) {
  console.log((await generate(line.trim().split(/\s+/), Number(count))).join(' '));
}
console.error(`onnxruntime-node ${ort.env.versions.node}`);

async function generate(prompt, count) {
  const tokens = [];
  const mask = [];
  let caches = emptyCaches();
  for (let next = prompt; tokens.length < count; next = [tokens.at(-1)]) {
    mask.push(...next.map(() => 1));
    const results = await session.run({ input_ids: int64(next), attention_mask: int64(mask), ...caches });
    // What comes out as present is the past of the next call.
    caches = Object.fromEntries(Object.keys(caches).map((name) => [name, results[presentOf(name)]]));
    tokens.push(likeliest(results.logits));
  }
  return tokens;
}

/** At first states are zeros, and keys and values have no tokens: of the axes with names only the batch has a size. */
function emptyCaches() {
  const caches = {};
  for (const { name, type, shape } of session.inputMetadata.filter(({ name }) => name.startsWith('past'))) {
    const sizes = shape.map((axis) => (axis === 'batch_size' ? 1 : typeof axis === 'string' ? 0 : axis));
    caches[name] = new ort.Tensor(type, new Float32Array(sizes.reduce((a, b) => a * b)), sizes);
  }
  return caches;
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
