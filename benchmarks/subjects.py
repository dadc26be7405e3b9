"""What is measured: the gateway in three settings, nginx, and other gateways where they are installed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from servers import Command, free_port

ENVIRONMENTS = Path(__file__).resolve().parent.parent / ".venvs"
KEY = "sk-bench-0123456789abcdef0123456789abcdef"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

Make = Callable[[int, int], Command]


@dataclass(frozen=True)
class Subject:
    """A program in front of the upstream. ``command`` makes it from its port and the upstream's."""

    name: str
    command: Make
    installed: str
    """Its version; empty where it is not installed."""
    headers: dict[str, str] = field(default_factory=dict)
    """What its requests need beside a key, as made from the upstream's port by ``headers_for``."""
    stream_rate: float = 120.0
    """Streams that are begun in a second: some cannot keep up with as many."""

    def headers_for(self, upstream: int) -> dict[str, str]:
        """The headers of a request to it."""
        own = {name: value.format(upstream=upstream) for name, value in self.headers.items()}
        return {"authorization": f"Bearer {KEY}", "content-type": "application/json", **own}


_GATEWAY = """
[server]
bind = "127.0.0.1:{port}"
workers = {workers}
drain_seconds = 1
{server}

[plugins.bench]
use = "openai_compatible"
base_url = "http://127.0.0.1:{upstream}/v1"

[plugins.claude]
use = "anthropic"
base_url = "http://127.0.0.1:{upstream}"
api_key = {{ env = "BENCH_KEY" }}
{plugins}
"""

_FULL = """
[plugins.api_keys]
keys = [{ name = "bench", key = { env = "BENCH_KEY" } }]

[plugins.rate_limit]
requests_per_minute = 100_000_000
tokens_per_minute = 100_000_000_000

[plugins.access_log]
path = "access.jsonl"

[plugins.audit_log]
path = "audit.sqlite"
"""

_UPSTREAM_NGINX = """
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    client_max_body_size 64m;
    location / {{ default_type application/json; return 200 '{answer}'; }}
  }}
"""

_PROXY_NGINX = """
  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    client_max_body_size 64m;
    location / {{
      proxy_pass http://bench;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
    location = /livez {{ return 200 'ok'; }}
  }}
"""

_NGINX = """
{user}
worker_processes 1;
worker_rlimit_nofile 16384;
daemon off;
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  keepalive_timeout 600s;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
{server}
}}
"""

_TEXT = "What a gateway adds to a call that somebody else answers is what is measured here, and nothing else. " * 4
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1764000000,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT.strip()}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 80, "total_tokens": 101},
    }
)

_LITELLM = """
model_list:
  - model_name: bench/bench
    litellm_params: {{ model: openai/bench, api_base: "http://127.0.0.1:{upstream}/v1", api_key: {key} }}
  - model_name: bench/idle
    litellm_params: {{ model: openai/idle, api_base: "http://127.0.0.1:{upstream}/v1", api_key: {key} }}
general_settings: {{ master_key: {key} }}
litellm_settings:
  telemetry: false
  num_retries: 0
  use_chat_completions_url_for_anthropic_messages: true
"""

# Portkey knows no option for the address that it listens on.
_LOOPBACK = """
import net from "node:net";

const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, "127.0.0.1", ...rest.filter((argument) => typeof argument === "function"));
};
"""


def gateway_command(port: int, upstream: int, *, server: str = "", plugins: str = "", workers: int = 1) -> Command:
    """``gateway serve`` from the environment that runs the benchmark."""
    config = _GATEWAY.format(port=port, upstream=upstream, server=server, plugins=plugins, workers=workers)
    arguments = [str(Path(sys.executable).with_name("gateway")), "serve", "-c", "gateway.toml"]
    return Command(arguments, {"BENCH_KEY": KEY}, {"gateway.toml": config}, "/readyz")


def gateway(name: str, *, server: str = "", plugins: str = "", workers: int = 1) -> Subject:
    """The gateway with these lines in its ``[server]`` table, and these tables of plugins."""

    def command(port: int, upstream: int) -> Command:
        return gateway_command(port, upstream, server=server, plugins=plugins, workers=workers)

    return Subject(name, command, importlib.metadata.version("gateway"))


def _nginx(server: str) -> Command:
    user = "user root;" if os.geteuid() == 0 else ""  # its worker must reach the folder for bodies, which is ours only
    arguments = [NGINX or "nginx", "-p", ".", "-c", "nginx.conf"]
    return Command(arguments, {}, {"nginx.conf": _NGINX.format(user=user, server=server)}, "/livez")


def nginx_proxy(port: int, upstream: int) -> Command:
    """nginx in front of an upstream."""
    return _nginx(_PROXY_NGINX.format(port=port, upstream=upstream))


def nginx_upstream(port: int) -> Command:
    """nginx as the upstream of whole answers: 0.7 kB of JSON, whatever is asked."""
    return _nginx(_UPSTREAM_NGINX.format(port=port, answer=ANSWER))


def _vllm_router(port: int, upstream: int) -> Command:
    arguments = [str(ENVIRONMENTS / "bench-vllm-router/bin/vllm-router"), "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--worker-urls", f"http://127.0.0.1:{upstream}", "--policy", "round_robin", "--log-level", "error"]
    arguments += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port())]
    return Command(arguments, health="/liveness", seconds=60)


def _litellm(port: int, upstream: int) -> Command:
    arguments = [str(ENVIRONMENTS / "bench-litellm/bin/litellm"), "--config", "litellm.yaml", "--num_workers", "1"]
    arguments += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}  # the first: fetch no price list
    environment |= {"AIOHTTP_CONNECTOR_LIMIT": "2000", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "2000"}  # for 1,000 streams
    files = {"litellm.yaml": _LITELLM.format(upstream=upstream, key=KEY)}
    return Command(arguments, environment, files, "/health/liveliness", seconds=120)


def _portkey(port: int, _upstream: int) -> Command:
    """It is told the upstream by a header of each request."""
    start = ENVIRONMENTS / "bench-portkey/node_modules/@portkey-ai/gateway/build/start-server.js"
    arguments = ["node", "--import", "./loopback.mjs", str(start), f"--port={port}", "--headless"]
    return Command(arguments, {"NODE_ENV": "production"}, {"loopback.mjs": _LOOPBACK}, seconds=60)


def python_package(environment: str, package: str) -> str:
    """The version of a package in an environment of its own; empty where it is not installed."""
    if not (ENVIRONMENTS / environment / ".installed").exists():
        return ""
    found = ENVIRONMENTS.glob(f"{environment}/lib/python3.*/site-packages/{package}-*.dist-info")
    return next((folder.name.removesuffix(".dist-info").rpartition("-")[2] for folder in found), "")


def node_package(environment: str, package: str) -> str:
    """The version of an npm package in a folder of its own; empty where it is not installed."""
    manifest = ENVIRONMENTS / environment / "node_modules" / package / "package.json"
    if not (ENVIRONMENTS / environment / ".installed").exists() or not manifest.exists():
        return ""
    return str(json.loads(manifest.read_text())["version"])


def program_version(program: str | None, option: str) -> str:
    """The version that a program tells of itself; empty where it is not installed."""
    if program is None:
        return ""
    told = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+(?:\.\d+)+", told.stdout + told.stderr)
    return found.group() if found else "unknown"


BARE, FULL, HYPERCORN, PROXY = "gateway", "gateway full", "gateway hypercorn", "nginx"
VLLM_ROUTER, LITELLM, PORTKEY = "vllm-router", "LiteLLM", "Portkey"


def all_subjects() -> list[Subject]:
    """Everything that is measured, also what is not installed here."""
    portkey = {"x-portkey-provider": "openai", "x-portkey-custom-host": "http://127.0.0.1:{upstream}/v1"}
    return [
        gateway(BARE),
        gateway(FULL, plugins=_FULL),
        gateway(HYPERCORN, server='http1 = "hypercorn"'),
        Subject(PROXY, nginx_proxy, program_version(NGINX, "-v")),
        Subject(VLLM_ROUTER, _vllm_router, python_package("bench-vllm-router", "vllm_router")),
        Subject(LITELLM, _litellm, python_package("bench-litellm", "litellm"), stream_rate=8.0),
        Subject(PORTKEY, _portkey, node_package("bench-portkey", "@portkey-ai/gateway"), portkey, stream_rate=20.0),
    ]


def versions(subjects: list[Subject]) -> dict[str, str]:
    """What the figures were taken with."""
    packages = ("gateway", "uvloop", "aiohttp", "httptools", "msgspec", "orjson")
    others = [subject for subject in subjects if subject.installed and not subject.name.startswith(BARE)]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "wrk": program_version(shutil.which("wrk"), "-v"),
        **{subject.name: subject.installed for subject in others},
    }
