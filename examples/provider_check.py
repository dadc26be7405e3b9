"""Ask others what they find: TrustedRouter's provider check, of a real model directly and through the gateway.

    make provider-check

Runs ``trustedrouter-provider-check --tier 5`` twice on SmolLM2-135M-Instruct in llama.cpp's server, which takes some
minutes, prints both verdicts of each check, and fails where the gateway's is the worse one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import demo

ROOT = Path(__file__).resolve().parents[1]
CHECK = ROOT / ".venvs" / "provider-check" / "bin" / "trustedrouter-provider-check"
MODEL = "smollm2-135m"
WORSE = ("skip", "pass", "warn", "fail")

TOML = """
[server]
bind = "127.0.0.1:{port}"

[plugins.local]
use = "openai_compatible"
preset = "llama_cpp"
base_url = "{model}/v1"

[models."{name}"]
targets = ["local/{name}"]
timeouts = {{ connect = 5, first_token = 120, idle = 60 }}
"""


def verdicts(base_url: str) -> dict[str, dict[str, Any]]:
    """Each check's finding, by its name."""
    command = [str(CHECK), "--base-url", f"{base_url}/v1", "--tier", "5", "--model", MODEL, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if not done.stdout.startswith("{"):
        raise SystemExit(f"The check did not run:\n{done.stderr}")
    return {row["id"]: row for row in json.loads(done.stdout)["checks"]}


def main() -> None:
    """Check both ways and compare."""
    for needed, how in ((CHECK, "make provider-check"), (demo.MODEL_PYTHON, "make demo")):
        if not needed.exists():
            raise SystemExit(f"{needed.relative_to(ROOT)} is not installed: {how} does it")
    port = demo.free_port()
    with demo.model_server() as model:
        print("Checking the model directly", flush=True)
        direct = verdicts(model)
        print("Checking it through the gateway", flush=True)
        with demo.gateway(TOML.format(port=port, model=model, name=MODEL), port) as url:
            through = verdicts(url)
    worse = []
    print(f"\n{'check':<34}{'directly':<12}through the gateway")
    for name, found in through.items():
        before = direct[name]["status"]
        print(f"{name:<34}{before:<12}{found['status']}")
        if WORSE.index(found["status"]) > max(WORSE.index(before), WORSE.index("pass")):
            worse.append(found)
    for found in worse:
        print(f"\n{found['id']}: {found['assertion']}\n{json.dumps(found['measured'])}")
    sys.exit(1 if worse or direct.keys() != through.keys() else 0)


if __name__ == "__main__":
    main()
