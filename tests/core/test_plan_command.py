"""``gateway plan``: what differs between two configurations, and for the calls of an audit log; secrets stay hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from gateway import Reply
from gateway.call import Principal
from gateway.cli import main
from gateway.decision import decision_of
from gateway.needs import needs_of
from gateway.protocol import Usage
from tests.plugins.logs.audit_calls import finished, running

OLD = """
[plugins.openai]
api_key = "sk-the-old-secret-key"
[plugins.anthropic]
api_key = { env = "NO_SUCH_VARIABLE" }
[plugins.audit_log]
payloads = true
keep_days = 3

[defaults]
retries = 1

[models.fast]
targets = ["openai/gpt-4o"]
fallbacks = ["anthropic/claude-haiku-4-5"]

[models.split]
strategy = "weighted"
targets = [{ provider = "openai", model = "gpt-4o", weight = 9 }, { provider = "openai", model = "gpt-4o-mini" }]
"""
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


class Run(NamedTuple):
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Program:
    """Runs ``gateway plan new.toml …`` beside ``gateway.toml`` and an audit log."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, new: str, *arguments: str, old: str = OLD) -> Run:
        (self.folder / "gateway.toml").write_text(old)
        (self.folder / "new.toml").write_text(new)
        try:
            code = main(["plan", "new.toml", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 99
        return Run(code, *self._capsys.readouterr())


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    monkeypatch.chdir(tmp_path)
    return Program(tmp_path, capsys)


def body(model: str, content: Any = "hi", **more: Any) -> bytes:
    return msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": content}], **more})


def log(folder: Path, *asks: bytes, payloads: bool = True, **facts: Any) -> None:
    """Log a finished call of 1000 + 100 tokens for each request."""
    with running(folder, payloads=payloads) as plugin:
        for place, ask in enumerate(asks):
            usage = Usage(prompt_tokens=1000, completion_tokens=100)
            given = {"body": ask, "usage": usage, "principal": None, "service_tier": None, **facts}
            model = msgspec.json.decode(ask)["model"]
            given["dialect"] = finished().dialect
            call = finished(id=f"req_call{place:04}", **given)
            call.model = model
            plugin.on_complete(call, Reply(body=b"{}"))


def changed(found: Any) -> dict[tuple[str, str], tuple[Any, Any]]:
    return {(f"{c['section']}.{c['name']}".rstrip("."), c["key"]): (c["old"], c["new"]) for c in found["changes"]}


def test_what_differs_is_told_by_table_and_key(plan: Program) -> None:
    new = (
        OLD.replace("retries = 1", "retries = 3")
        .replace("weight = 9", "weight = 5")
        .replace('["anthropic/claude-haiku-4-5"]', '["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]')
    )
    run = plan(new + '[models.extra]\ntargets = ["openai/o3"]\n[server]\nworkers = 2\n', "-n", "0", "--json")
    assert run.code == 0
    found = changed(run.json())
    assert found["defaults", "retries"] == ("1", "3")
    assert found["models.split", "targets[openai/gpt-4o].weight"] == ("9", "5")
    assert found["models.fast", "fallbacks"][1] == '["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"]'
    assert found["models.extra", ""] == (None, None)
    assert found["server", "workers"] == (None, "2")
    assert len(found) == 6
    text = plan(new, "-n", "0").out
    assert "~ [models.split]\n    ~ targets[openai/gpt-4o].weight: 9 → 5\n" in text


def test_a_table_that_went_and_one_that_came(plan: Program) -> None:
    new = OLD.replace("[models.split]", "[models.other]")
    text = plan(new, "-n", "0").out
    assert "- [models.split] removed\n" in text
    assert '+ [models.other] added\n    + strategy: "weighted"\n' in text


def test_the_same_file_differs_in_nothing(plan: Program) -> None:
    assert "No setting differs." in plan(OLD, "-n", "0").out


def test_secrets_are_named_and_never_shown(plan: Program) -> None:
    keys = '[plugins.api_keys]\nkeys = [{ name = "team", key = "gw-a-very-secret-key-of-a-team" }]\n'
    box = '[plugins.box]\nuse = "openai_compatible"\nbase_url = "http://h/v1"\n'
    headers = 'headers = { x-team = "the-header-secret", x-other = { env = "HEADER_SECRET" } }\n'
    off = '[plugins.later]\nuse = "openai_compatible"\nenabled = false\napi_key = "sk-switched-off-key"\n'
    new = OLD.replace("sk-the-old-secret-key", "sk-the-new-secret-key") + keys + box + headers + off
    for arguments in ((), ("--json",)):
        run = plan(new, "-n", "0", *arguments)
        assert run.code == 0, run.err
        for secret in (
            "the-old-secret",
            "the-new-secret",
            "very-secret",
            "header-secret",
            "in-the-addr",
            "switched-off",
        ):
            assert secret not in run.out + run.err
    assert "~ api_key: another value (***)" in plan(new, "-n", "0").out
    assert '{ env = "HEADER_SECRET" }' in plan(new, "-n", "0").out
    assert "keys[team].key: ***" in plan(new, "-n", "0").out


def test_a_secret_that_moves_to_a_variable_is_told_without_its_value(plan: Program) -> None:
    new = OLD.replace('"sk-the-old-secret-key"', '{ env = "NEW_PLACE" }')
    assert '~ api_key: *** → { env = "NEW_PLACE" }' in plan(new, "-n", "0").out


def test_logged_calls_that_would_go_elsewhere_are_counted_with_what_that_costs(plan: Program) -> None:
    log(plan.folder, body("fast"), body("fast", [IMAGE]), body("split"))
    run = plan(OLD.replace('targets = ["openai/gpt-4o"]', 'targets = ["openai/gpt-4o-mini"]'), "--json")
    assert run.code == 0
    traffic = run.json()["traffic"]
    assert (traffic["calls"], traffic["moved"], traffic["refused"], traffic["without_body"]) == (3, 2, 0, 0)
    (group,) = traffic["groups"]
    assert (group["model"], group["from"], group["to"], group["calls"]) == (
        "fast",
        "openai/gpt-4o",
        "openai/gpt-4o-mini",
        2,
    )
    assert sorted(group["examples"]) == ["req_call0000", "req_call0001"]
    # 1000 tokens in and 100 out: 0.0035 dollars at gpt-4o, 0.00021 at gpt-4o-mini.
    assert group["cost_difference"] == "-0.00658"
    assert traffic["cost"]["calls"] == 3
    text = plan(OLD.replace('targets = ["openai/gpt-4o"]', 'targets = ["openai/gpt-4o-mini"]')).out
    assert "of 3 calls in the audit log, 2 would go another way:" in text
    assert "2 of fast: openai/gpt-4o → openai/gpt-4o-mini; cost -0.00658 dollars" in text


def test_chance_is_drawn_alike_so_that_only_the_weights_move_calls(plan: Program) -> None:
    log(plan.folder, *[body("split")] * 200)
    assert plan(OLD + "\n# a remark\n", "--json").json()["traffic"]["moved"] == 0
    moved = plan(OLD.replace("weight = 9", "weight = 1"), "--json").json()["traffic"]
    assert 50 < moved["moved"] < 110
    assert {(group["from"], group["to"]) for group in moved["groups"]} == {("openai/gpt-4o", "openai/gpt-4o-mini")}


def test_a_model_or_key_that_is_gone_is_a_refusal(plan: Program) -> None:
    log(plan.folder, body("fast"), body("split"), principal=Principal(id="team", name="team"))
    traffic = plan(OLD.replace("[models.split]", "[models.other]"), "--json").json()["traffic"]
    assert (traffic["moved"], traffic["refused"]) == (1, 1)
    assert "'split' does not exist" in traffic["groups"][0]["error"]
    keys = '[plugins.api_keys]\nkeys = [{ name = "others", key = { env = "NO_KEY" } }]\n'
    traffic = plan(OLD + keys, "--json").json()["traffic"]
    assert traffic["refused"] == 2
    assert 'no key has the name "team"' in plan(OLD + keys).out


def test_a_rule_is_named_as_the_reason(plan: Program) -> None:
    log(plan.folder, body("fast"), body("fast", tools=[{"type": "function", "function": {"name": "f"}}]))
    rule = 'rules = [{ when = "has_tools", targets = ["openai/gpt-4.1"] }]'
    new = OLD.replace("[models.split]", f"{rule}\n[models.split]")
    (group,) = plan(new, "--json").json()["traffic"]["groups"]
    assert (group["to"], group["examples"]) == ("openai/gpt-4.1", ["req_call0001"])
    assert "rule has_tools" in group["why"]


def test_without_bodies_what_the_log_knows_of_a_request_stands_for_it(plan: Program) -> None:
    ask = body("fast", "x" * 40_000)
    call = finished(id="req_pictures", body=body("fast", [IMAGE]), principal=None)
    assert needs_of(call).images
    decision_of(call).order(call.targets)
    with running(plan.folder) as plugin:
        plugin.on_complete(call, Reply(body=b"{}"))
    log(plan.folder, ask, payloads=False)
    rules = (
        'rules = [{ when = "tokens > 5000", targets = ["openai/gpt-4.1"] },'
        ' { when = "has_images", targets = ["openai/o3"] }]'
    )
    run = plan(OLD.replace("[models.split]", f"{rules}\n[models.split]"), "--json")
    traffic = run.json()["traffic"]
    assert traffic["without_body"] == 2
    goes = {group["to"]: group["examples"] for group in traffic["groups"]}
    assert goes == {"openai/gpt-4.1": ["req_call0000"], "openai/o3": ["req_pictures"]}


def test_copies_and_calls_that_were_never_routed_are_left_out(plan: Program) -> None:
    log(plan.folder, body("fast"), copy_of="req_other")
    with running(plan.folder) as plugin:
        plugin.on_complete(finished(id="req_fromcache", attempts=[], target=None, usage=None), Reply(source="cache"))
    assert plan(OLD, "--json").json()["traffic"]["calls"] == 0
    assert "no such call" in plan(OLD).out


def test_calls_can_be_chosen(plan: Program) -> None:
    log(plan.folder, body("fast"), body("split"), body("fast"))
    assert plan(OLD, "--json", "--model", "spl*").json()["traffic"]["calls"] == 1
    assert plan(OLD, "--json", "-n", "2").json()["traffic"]["calls"] == 2
    assert plan(OLD, "--json", "--since", "2030-01-01").json()["traffic"]["calls"] == 0


def test_without_an_audit_log_only_the_settings_are_compared(plan: Program) -> None:
    old = OLD.replace("[plugins.audit_log]\npayloads = true\nkeep_days = 3\n", "")
    run = plan(OLD, old=old)
    assert run.code == 0
    assert "+ [plugins.audit_log] added" in run.out
    assert "No audit log is on" in run.out


def test_a_configuration_that_cannot_be_used_is_1_and_a_wrong_line_is_2(plan: Program) -> None:
    run = plan(OLD.replace('openai/gpt-4o"', 'opnai/gpt-4o"'))
    assert run.code == 1
    assert "new.toml:" in run.err
    assert 'did you mean "openai"' in run.err
    assert plan(OLD, "-n", "many").code == 2
    assert main(["plan", "no-such.toml"]) == 1
