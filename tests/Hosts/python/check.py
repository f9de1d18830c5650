"""Holds graphs to the ONNX standard: python3 check.py GRAPH…"""

import sys

import onnx

for graph in sys.argv[1:]:
    # With full_check shapes are inferred from the inputs on, and held to those that the graph states.
    onnx.checker.check_model(graph, full_check=True)
print(f"onnx {onnx.__version__}", file=sys.stderr)
