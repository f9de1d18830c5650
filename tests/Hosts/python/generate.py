"""Continues token ids greedily with a model.onnx of bamba-onnx export, on onnxruntime alone.

    echo "2043 84 101" | python3 generate.py MODEL [COUNT]

A line of ids in, a line of COUNT ids out.
"""

import sys

import numpy as np
import onnxruntime as ort

session = ort.InferenceSession(f"{sys.argv[1]}/model.onnx", providers=["CPUExecutionProvider"])
count = int(sys.argv[2]) if len(sys.argv) > 2 else 48
pasts = [cache for cache in session.get_inputs() if cache.name.startswith("past_key_values")]
outputs = ["logits"] + [cache.name.replace("past_key_values", "present") for cache in pasts]


def empty(cache):
    # At first states are zeros, and keys and values have no tokens: of the axes with names only the batch has a size.
    shape = [axis if isinstance(axis, int) else int(axis == "batch_size") for axis in cache.shape]
    return np.zeros(shape, np.float16 if cache.type == "tensor(float16)" else np.float32)


def generate(prompt):
    tokens = []
    caches = {cache.name: empty(cache) for cache in pasts}
    while len(tokens) < count:
        ids = np.array([tokens[-1:] or prompt], np.int64)
        mask = np.ones((1, len(prompt) + len(tokens)), np.int64)
        logits, *presents = session.run(outputs, {"input_ids": ids, "attention_mask": mask, **caches})
        # What comes out as present is the past of the next call.
        caches = dict(zip(caches, presents))
        tokens.append(int(logits[0, -1].argmax()))
    return tokens


for line in sys.stdin:
    print(*generate([int(token) for token in line.split()]))
print(f"onnxruntime {ort.__version__}", file=sys.stderr)
