// Continues texts greedily with the graph that bamba-onnx export --profiles web writes, through transformers.js.
//
//   echo '"To be, or not to be"' | node pipeline.mjs MODEL [COUNT]
//
// A JSON string a line in, a JSON string a line out: what COUNT tokens say.
import { basename, dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { env, pipeline } from '@huggingface/transformers';

const [folder, count = '48'] = process.argv.slice(2);
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder));

const generate = await pipeline('text-generation', basename(resolve(folder)));
for await (const line of createInterface({ input: process.stdin })) {
  const [{ generated_text }] = await generate(JSON.parse(line), {
    max_new_tokens: Number(count),
    do_sample: false,
    return_full_text: false,
  });
  console.log(JSON.stringify(generated_text));
}
console.error(`transformers.js ${env.version}`);
