#!/usr/bin/env python3
"""Checks and times the CUDA kernels on a GPU, and records what it found in custom-ops/measured.

  check_gpu.py prepare FOLDER    where .NET is: publishes the programs and exports models into FOLDER
  check_gpu.py run FOLDER        where nvcc, CMake and the GPU are; FOLDER may come from elsewhere
  check_gpu.py all FOLDER        both, on one machine

run has parts, of which --parts names some: times and kernels (the kernels alone), sanitizers, tests (the sessions
of the library on the CUDA provider), models (exports against the reference), bench (a model of Bamba-9B's shape
with random weights). A part that is left out keeps what an earlier run on the same sources and GPU found.

run needs CUDA's and cuDNN's libraries where the loader finds them (LD_LIBRARY_PATH), and ONNX Runtime's CUDA
build: the package Microsoft.ML.OnnxRuntime.Gpu that prepare takes, or the folder that --onnxruntime names.
The exit code is 0 if all is right.
"""

import argparse
import concurrent.futures
import ctypes
import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CUSTOM_OPS = ROOT / "custom-ops"
BUILD = ROOT / "artifacts" / "native" / "cuda"
RACECHECK_BUILD = ROOT / "artifacts" / "native" / "cuda-racecheck"
SHAKESPEARE = ROOT / "models" / "bamba-tiny-shakespeare"
BAMBA_9B = ROOT / "models" / "bamba-9b-v2"
# The tests of the library on a device: what they run lies where they look for it.
PREPARED = ROOT / "artifacts" / "check-gpu"
PARTS = ["times", "kernels", "sanitizers", "tests", "models", "bench"]
# What decides what runs on a GPU. The test command computes the same hash (GpuCheckTests.cs).
SOURCES = ["kernels/*.h", "kernels/cuda/*", "ops/cuda_*"]
# compute-sanitizer's tools, with the most tokens of a row of the table that runs under each: they are slow.
SANITIZERS = {"memcheck": 64, "initcheck": 64, "racecheck": 16}
SANITIZER_SECONDS = 1800
# Small models that are verified at once.
PROCESSES = 6
# Tokens of context of the 9B model that is measured.
CONTEXT = 40960
# How it is exported, and what is measured of it, as arguments of "bamba-onnx export" and of "bamba-onnx bench".
INT4 = ["--dtype", "f16", "--weights", "int4", "--group-size"]
BENCHMARKS = {
    "f16": (
        ["--dtype", "f16"],
        [
            ["-p", "512,2048,8192", "-n", "128", "-b", "1", "-r", "5"],
            ["-p", "2048", "-n", "0", "-b", "8", "-r", "3"],
            ["-p", "0", "-n", "64", "-b", "16,64", "-r", "5"],
            ["-p", "0", "-n", "64", "-b", "1", "-d", "16,32768", "-r", "5"],
        ],
    ),
    "bf16": (["--dtype", "bf16"], [["-p", "2048", "-n", "128", "-b", "1", "-r", "3"]]),
    "int4-g128": (
        [*INT4, "128"],
        [
            ["-p", "512,8192", "-n", "128", "-b", "1", "-r", "5"],
            ["-p", "0", "-n", "64", "-b", "8,16,64", "-r", "3"],
        ],
    ),
    "int4-g32": ([*INT4, "32"], [["-p", "2048", "-n", "128", "-b", "1", "-r", "5"]]),
}


# The same for the models with weights of few bits that the library's tests run (CudaMachine.cs).
QUANTIZED = {
    "int4-g128": [*INT4, "128"],
    "int4-g32": [*INT4, "32", "--zero-points", "integer"],
    "int8-g64": ["--dtype", "bf16", "--weights", "int8", "--group-size", "64"],
}


def sources_sha256():
    """SHA-256 over each source's path, a zero byte, its code and a zero byte, in the order of paths.

    The code is the content without line comments, blanks and ends of lines: what those say needs no other check.
    """
    digest = hashlib.sha256()
    paths = {path for pattern in SOURCES for path in CUSTOM_OPS.glob(pattern)}
    for name, path in sorted((path.relative_to(CUSTOM_OPS).as_posix(), path) for path in paths):
        code = re.sub(rb"//[^\n]*", b"", path.read_bytes()).translate(None, b" \t\r\n")
        digest.update(name.encode() + b"\0" + code + b"\0")
    return digest.hexdigest()


def models():
    """Checkpoint, element type and name of each exported model."""
    cases = sorted((ROOT / "tests" / "reference" / "cases").iterdir()) + [SHAKESPEARE]
    for checkpoint in cases:
        yield checkpoint, "f32", f"{checkpoint.name}-f32"
    for checkpoint in (ROOT / "tests" / "reference" / "cases" / "bamba-9b-heads", SHAKESPEARE):
        for dtype in ("f16", "bf16"):
            yield checkpoint, dtype, f"{checkpoint.name}-{dtype}"


def command(*arguments, **options):
    return subprocess.run([str(argument) for argument in arguments], check=True, text=True, **options)


def prepare(folder, package):
    """Everything that .NET is needed for."""
    shutil.rmtree(folder, ignore_errors=True)
    publish = ["-c", "Release", "-r", "linux-x64", "--self-contained", "-p:PublishSingleFile=false"]
    publish += [f"-p:OnnxRuntimePackage={package}"]
    command("dotnet", "publish", ROOT / "src" / "Bamba.Onnx.Cli", *publish, "-o", folder / "command")
    for project in ("Bamba.Onnx.Cuda.Tests", "Bamba.Onnx.SyntheticWeights"):
        command("dotnet", "publish", ROOT / "tests" / project, *publish, "-o", folder / "command")
    export = [folder / "command" / "bamba-onnx", "export"]
    for checkpoint, dtype, name in models():
        command(*export, checkpoint, "-o", folder / "models" / name, "--dtype", dtype)
    for name, options in QUANTIZED.items():
        command(*export, SHAKESPEARE, "-o", folder / "models" / f"{SHAKESPEARE.name}-{name}", *options)
    for weights, (options, _) in BENCHMARKS.items():
        target = folder / "models" / f"bamba-9b-{weights}"
        command(*export, BAMBA_9B, "-o", target, *options, "--no-weights", "--context-length", str(CONTEXT))
    # What the GPU machine does not need: the exporter's libtorch, symbols, and the model for "run".
    for pattern in ("libtorch*", "libLibTorchSharp*", "libc10*", "libgomp*", "*.pdb", "*.xml", "libmscord*"):
        for path in (folder / "command").glob(pattern):
            path.unlink()
    shutil.rmtree(folder / "command" / "models", ignore_errors=True)
    packages = command("dotnet", "nuget", "locals", "global-packages", "--list", stdout=subprocess.PIPE).stdout
    home = pathlib.Path(packages.split(":", 1)[1].strip()) / package.lower()
    headers = sorted(home.glob("*/build/native/include"))[-1]
    shutil.copytree(headers, folder / "headers")


def build(folder):
    """The kernels, the libraries and the test programs."""
    os.chdir(CUSTOM_OPS)
    command("cmake", "--preset", "cuda", f"-DBAMBA_ORT_INCLUDE_DIR={(folder / 'headers').resolve()}", "--log-level=ERROR")
    command("cmake", "--build", "--preset", "cuda", "--parallel", stdout=subprocess.DEVNULL)


def tally(program):
    """What a test program counted in its last line."""
    print("\n".join(program.stdout.splitlines()[-20:]), flush=True)
    found = re.search(r"(\d+) passed, (\d+) failed", program.stdout)
    counts = {"passed": int(found[1]), "failed": int(found[2])} if found else {"passed": 0, "failed": 1}
    if program.returncode != 0 and counts["failed"] == 0:
        counts["failed"] = 1
    return counts


def test_kernels():
    return tally(subprocess.run([BUILD / "tests" / "kernel_tests_cuda"], text=True, stdout=subprocess.PIPE))


def sanitize(tool):
    """The tests under one of compute-sanitizer's tools."""
    arguments = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", "--print-limit", "5"]
    build = RACECHECK_BUILD if tool == "racecheck" else BUILD
    arguments += [build / "tests" / "kernel_tests_cuda", str(SANITIZERS[tool])]
    result = {"tool": tool, "most_tokens": SANITIZERS[tool]}
    start = time.monotonic()
    try:
        program = subprocess.run(
            arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SANITIZER_SECONDS
        )
    except subprocess.TimeoutExpired:
        return result | {"passed": 0, "failed": 1, "problem": f"did not end in {SANITIZER_SECONDS} s"}
    print(f"{tool}: {time.monotonic() - start:.0f} s", flush=True)
    return result | tally(program)


def sanitize_kernels():
    # racecheck follows threads and not what warps order: its kernels differ by who arrives at barriers.
    command("cmake", "--preset", "cuda", "-B", RACECHECK_BUILD, "-DBAMBA_RACECHECK=ON", cwd=CUSTOM_OPS)
    command("cmake", "--build", RACECHECK_BUILD, "--parallel", "--target", "kernel_tests_cuda", cwd=CUSTOM_OPS)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(sanitize, SANITIZERS))


def verify(folder, checkpoint, name, ops):
    """One model on the CUDA provider against what Hugging Face computes."""
    arguments = [folder / "command" / "bamba-onnx", "verify", folder / "models" / name, "--reference", checkpoint]
    arguments += ["--device", "cuda", "--ops", ops, "--json"]
    run = subprocess.run(arguments, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    result = {"model": name, "implementation": "function" if ops == "off" else "kernel"}
    try:
        checks = [check for check in json.loads(run.stdout)["checks"] if "skipped" not in check]
    except (json.JSONDecodeError, KeyError):
        return result | {"passed": 0, "failed": 1, "problem": run.stderr.strip()[-2000:]}
    failed = [check["name"] for check in checks if not check["passed"]]
    return result | {
        "passed": len(checks) - len(failed),
        "failed": len(failed),
        "worst_logits": max(check["max_abs"] for check in checks if check["name"].endswith("logits")),
    } | ({"problem": ", ".join(failed)} if failed else {})


def verify_models(folder):
    library = BUILD / "ops" / "libbamba_ops.so"
    runs = [(checkpoint, name, ops) for checkpoint, _, name in models() for ops in ("off", library)]
    with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
        results = list(pool.map(lambda run: verify(folder, *run), runs))
    print("\n".join(json.dumps(result) for result in results), flush=True)
    return results


def test_library(folder):
    """Sessions on the CUDA provider: the tests that skip where there is no device."""
    run = subprocess.run([folder / "command" / "Bamba.Onnx.Cuda.Tests", "-diagnostics"], text=True, stdout=subprocess.PIPE)
    output = re.sub(r"\x1b\[[0-9;]*m", "", run.stdout)
    print("\n".join(output.splitlines()[-80:]), flush=True)
    found = re.search(r"Total: (\d+), Errors: (\d+), Failed: (\d+), Skipped: (\d+), Not Run: (\d+)", output)
    total, errors, failed, skipped, omitted = map(int, found.groups()) if found else (0, 1, 0, 0, 0)
    passed = total - failed - skipped - omitted
    failed = failed + errors or int(run.returncode != 0)
    problems = sorted(set(re.findall(r"^\s*(\S.*?) \[FAIL\]", output, re.MULTILINE)))
    told = re.findall(r"outside the model: (.*)", output)
    result = {"passed": passed, "failed": failed, "skipped": skipped}
    result |= {"outside_the_model": told[0].strip()} if told else {}
    return result | ({"problems": problems} if problems else {})


def benchmark(folder):
    """A model of Bamba-9B's shape: random weights are written once, beside the graphs."""
    library = BUILD / "ops" / "libbamba_ops.so"
    results = []
    for weights, (_, benchmarks) in BENCHMARKS.items():
        model = folder / "models" / f"bamba-9b-{weights}"
        if not (model / "model.onnx.data").exists():
            command(folder / "command" / "synthetic-weights", model, "--no-hash")
        for arguments in benchmarks:
            bench = [folder / "command" / "bamba-onnx", "bench", model, "--device", "cuda", "--ops", library]
            run = subprocess.run([*bench, *arguments, "-o", "json"], text=True, stdout=subprocess.PIPE)
            if run.returncode != 0:
                results.append({"weights": weights, "arguments": arguments, "failed": 1})
                continue
            kept = ["test", "batch", "dtype", "scan", "step_mode", "load_ms", "avg_ts", "stddev_ts", "bandwidth_share"]
            kept += ["device_copy_bytes_per_second", "state_bytes_per_sequence", "kv_bytes_per_token"]
            for test in json.loads(run.stdout):
                samples = sorted(test["samples_ts"])
                result = {"weights": weights, "median_ts": samples[len(samples) // 2], "runs": len(samples)}
                results.append(result | {key: test[key] for key in kept if key in test})
                print(json.dumps(results[-1]), flush=True)
        (model / "model.onnx.data").unlink(missing_ok=True)
    return results


def measure():
    """Times of whole calls at the sizes of a Bamba-9B layer."""
    program = command(BUILD / "tests" / "kernel_times_cuda", stdout=subprocess.PIPE)
    print(program.stdout, flush=True)
    return json.loads(program.stdout)


def onnxruntime_version(folder):
    class ApiBase(ctypes.Structure):
        _fields_ = [("get_api", ctypes.c_void_p), ("version", ctypes.CFUNCTYPE(ctypes.c_char_p))]

    library = ctypes.CDLL(str(folder / "command" / "libonnxruntime.so"))
    library.OrtGetApiBase.restype = ctypes.POINTER(ApiBase)
    return library.OrtGetApiBase().contents.version().decode()


def machine():
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    name, driver, memory = command(*query, stdout=subprocess.PIPE).stdout.splitlines()[0].split(", ")
    nvcc = command("nvcc", "--version", stdout=subprocess.PIPE).stdout
    return {"gpu": name, "memory": memory, "driver": driver, "cuda": re.search(r"release ([\d.]+)", nvcc)[1]}


class Record:
    """What was found so far, written after each part: a check that is cut off leaves what it has, not passed."""

    def __init__(self):
        self.content = {"passed": False, "sources_sha256": sources_sha256()}
        self.content |= {"date": datetime.date.today().isoformat(), "machine": machine()}
        name = re.sub(r"[^a-z0-9]+", "-", self.content["machine"]["gpu"].lower())
        self.path = CUSTOM_OPS / "measured" / f"{name}.json"
        if self.path.exists():
            earlier = json.loads(self.path.read_text())
            if earlier["sources_sha256"] == self.content["sources_sha256"]:
                self.content |= {part: earlier[part] for part in PARTS if part in earlier}

    def add(self, **parts):
        self.content |= parts
        self.content["passed"] = self.passed()
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(self.content, indent=2) + "\n")

    def passed(self):
        """Whether every part was run and nothing in it failed."""
        content = self.content
        if any(part not in content for part in PARTS):
            return False
        parts = [content["kernels"], content["tests"], *content["models"], *content["sanitizers"]]
        clean = all(part["failed"] == 0 and part["passed"] > 0 for part in parts)
        return clean and not any("failed" in result for result in content["bench"])


def run(folder, onnxruntime, parts):
    folder = folder.resolve()
    if onnxruntime is not None:
        for library in onnxruntime.glob("libonnxruntime*"):
            shutil.copy(library, folder / "command" / library.name)
    record = Record()
    build(folder)
    record.add(onnxruntime=onnxruntime_version(folder))
    checks = {
        "times": measure,
        "kernels": test_kernels,
        "sanitizers": sanitize_kernels,
        "tests": lambda: test_library(folder),
        "models": lambda: verify_models(folder),
        "bench": lambda: benchmark(folder),
    }
    for part in parts:
        start = time.monotonic()
        record.add(**{part: checks[part]()})
        print(f"{part}: {time.monotonic() - start:.0f} s", flush=True)
    passed = record.content["passed"]
    print(f"{'passed' if passed else 'not passed'}: {record.path.relative_to(ROOT)}")
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["prepare", "run", "all", "sources"], help="sources prints the hash alone")
    parser.add_argument("folder", type=pathlib.Path, nargs="?", default=PREPARED)
    parser.add_argument("--parts", type=lambda names: names.split(","), default=PARTS, metavar="PART,...")
    parser.add_argument("--onnxruntime", type=pathlib.Path, metavar="FOLDER", help="ONNX Runtime's CUDA libraries")
    parser.add_argument("--package", default="Microsoft.ML.OnnxRuntime.Gpu", help="the package of prepare")
    arguments = parser.parse_args()
    if arguments.step == "sources":
        print(sources_sha256())
    if arguments.step in ("prepare", "all"):
        prepare(arguments.folder, arguments.package)
    if arguments.step in ("run", "all"):
        sys.exit(0 if run(arguments.folder, arguments.onnxruntime, arguments.parts) else 1)


if __name__ == "__main__":
    main()
