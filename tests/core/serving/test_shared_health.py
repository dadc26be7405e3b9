"""What one worker learns of a target, the others know: they probe once, check once, and a new one begins with it."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

from gateway.testing import ScriptedProvider
from tests.core.serving.served import served

QUESTION = json.dumps({"model": "one/m", "messages": [{"role": "user", "content": "hello"}]}).encode()


def ask(port: int) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", data=QUESTION, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code if error.headers["retry-after"] else 0


def asked(provider: ScriptedProvider, method: str) -> int:
    return sum(request.method == method for request in provider.requests)


def test_two_workers_probe_a_target_once_and_a_new_one_knows_what_they_knew(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        provider.default_reply(json={"error": {"message": "down"}}, status=503)
        toml = f"""
[server]
bind = "127.0.0.1:0"
workers = 2
[health]
path = "health"
breaker = {{ failures = 3, open_for = 1, longest = 1, probes = 1 }}
[plugins.one]
use = "openai_compatible"
base_url = "{provider.url}/v1"
health_check = {{ every = 0.5, failures = 1000 }}
[defaults]
retries = 0
"""
        with served(tmp_path, toml) as gateway:
            for _ in range(12):  # each worker has three failures at the most before all of them know
                assert ask(gateway.port) == 503
            assert asked(provider, "POST") <= 6
            before, end = asked(provider, "POST"), time.monotonic() + 3.0
            while time.monotonic() < end:
                assert ask(gateway.port) == 503
                time.sleep(0.01)
            probes = asked(provider, "POST") - before
            assert 2 <= probes <= 4  # one a second; it would be twice as many if each probed for itself
            assert 4 <= asked(provider, "GET") <= 12

            os.kill(gateway.workers()[0], signal.SIGKILL)
            gateway.wait_for("serves\n", seconds=5.0)
            before, end = asked(provider, "POST"), time.monotonic() + 2.0
            while time.monotonic() < end:
                assert ask(gateway.port) == 503
                time.sleep(0.01)
            assert asked(provider, "POST") - before <= 4

            provider.default_reply(json={"id": "c", "object": "chat.completion", "model": "m", "choices": []})
            end = time.monotonic() + 5.0
            while ask(gateway.port) != 200:
                assert time.monotonic() < end, "it is not noticed that the target is well"
                time.sleep(0.02)
            time.sleep(0.2)
            assert {ask(gateway.port) for _ in range(20)} == {200}
