// The page: what is typed goes into the model, and what it writes appears token by token.
import * as ort from 'onnxruntime-web';
import { BambaModel } from './bamba.mjs';

const COUNT = 48;
const FRAME_MILLISECONDS = 30;

const [prompt, write, begin, text, status] = ['prompt', 'write', 'begin', 'text', 'status'].map((id) =>
  document.getElementById(id),
);

try {
  const model = await BambaModel.load('model');
  status.textContent = `onnxruntime-web ${ort.env.versions.web}, WebAssembly`;
  write.disabled = false;
  write.addEventListener('click', () => show(model));
} catch (error) {
  status.textContent = `The model does not load: ${error.message}`;
  throw error;
}

async function show(model) {
  write.disabled = true;
  begin.textContent = prompt.value;
  text.textContent = '';
  const ids = model.encode(prompt.value);
  const tokens = [];
  let [shown, first] = [performance.now(), 0];
  for await (const token of model.generate(ids, COUNT)) {
    first ||= performance.now();
    tokens.push(token);
    if (performance.now() - shown > FRAME_MILLISECONDS) {
      text.textContent = model.decode(tokens);
      await new Promise(requestAnimationFrame);
      shown = performance.now();
    }
  }
  // The first token is the prompt's work.
  const rate = ((tokens.length - 1) / (performance.now() - first)) * 1000;
  text.textContent = model.decode(tokens);
  status.textContent = `onnxruntime-web ${ort.env.versions.web}, WebAssembly: ${rate.toFixed(0)} tokens a second`;
  write.disabled = false;
}
