"""What the reference page says is what the engine does: its example is valid, its defaults and tables are true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from edgeguard.desk.codes import FINDINGS
from edgeguard.desk.schema.wording import KEYS
from edgeguard.policy import parse, parse_calibration
from edgeguard.policy.codes import CODES
from edgeguard.policy.running import Model, Pace, Qualification, Realtime, Worker
from edgeguard.policy.schema import (
    Actuator,
    Fallback,
    Feedback,
    Link,
    LocalRule,
    Microcontroller,
    Policy,
    Rule,
    Sensor,
    SignalDeclaration,
)
from edgeguard.policy.sources import MODEL_SIGNALS, OTHER_SIGNALS
from edgeguard.policy.vouching import (
    Admission,
    Assessment,
    Claims,
    GraphLimits,
    Required,
    Revocation,
    SecondKey,
    Signable,
    Signer,
)
from edgeguard.terms import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "policy.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_example_policy_of_the_page_is_valid() -> None:
    example = re.search(r"```yaml\n(edgeguard: 1\n.*?)```", PAGE, re.DOTALL)
    assert example is not None
    text = example[1].replace("<64 hex digits>", "ab" * 32)
    assert parse(text.encode(), file="page.yaml").policy.policy.name == "door"


def test_examples_of_the_sections_make_one_policy() -> None:
    titles = ("Models", "Admission", "Isolation", "Schedule", "Qualification", "Real time")
    parts = [re.search(r"```yaml\n(.*?)```", section(title), re.DOTALL) for title in titles]
    text = "edgeguard: 1\npolicy: {name: parts, version: 1}\n" + "".join(part[1] for part in parts if part)
    text += """
signals:
  certainty:    {of: primary, range: [0, 1], max_age: 150ms}
  disagreement: {of: [primary, redundant], range: [0, 1], max_age: 250ms}
  squeezing:    {of: primary, range: [0, 1], max_age: 250ms}
  doubt3:       {of: [primary, third], measure: disagreement, range: [0, 1], max_age: 250ms}
envelope: {brake: {min: 0, max: 1, safe: 1}}
"""
    policy = parse(text.encode(), file="page.yaml").policy
    assert {name for name in Policy.model_fields if name in policy.model_fields_set} >= {
        "models", "filter", "admission", "isolation", "schedule", "qualification", "realtime",
    }  # fmt: skip


def test_every_key_of_workers_schedules_and_models_is_on_the_page() -> None:
    models = ((Model, "Models"), (Worker, "Isolation"), (Pace, "Schedule"), (Realtime, "Real time"))
    for model, title in (*models, (Qualification, "Qualification")):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in section(title), name


def test_every_key_of_admission_is_on_the_page_and_stands_in_its_example() -> None:
    text = section("Admission")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    for model in (Admission, Signer, SecondKey, Required, Assessment, Claims, Revocation, GraphLimits):
        for name in model.model_fields:
            assert f"`{name}`" in text, name
    for name in (*Admission.model_fields, *Signer.model_fields, *Required.model_fields):
        assert name in {"clock", "post_quantum"} or f"{name}:" in example[1], name
    for role in get_args(Signable):
        assert f"`{role}`" in text


def test_limits_of_the_page_are_those_that_count() -> None:
    usual, text = Limits(), section("Admission")
    for name, said in (
        ("nodes", str(usual.nodes)),
        ("tensors", str(usual.tensors)),
        ("memory", "1 GiB"),
        ("opset", f"`{list(usual.opset)}`"),
    ):
        assert re.search(rf"^\| `{name}` \|.*\| {re.escape(said)} \|$", text, re.MULTILINE), name
    assert (usual.memory, usual.operators) == (2**30, ())
    assert f"Left out: {usual.nodes}." in KEYS["GraphLimits.nodes"]
    assert f"Left out: {usual.tensors}." in KEYS["GraphLimits.tensors"]
    assert f"Left out: {list(usual.opset)}." in KEYS["GraphLimits.opset"]


def test_example_of_the_microcontroller_is_valid_and_every_key_of_its_is_on_the_page() -> None:
    part = re.search(r"```yaml\n(.*?)```", section("Microcontroller"), re.DOTALL)
    assert part is not None
    text = f"""edgeguard: 1
policy: {{name: parts, version: 1}}
signals: {{speed: {{from: context, range: [0, 60], max_age: 150ms}}}}
{part[1]}"""
    document = parse(text.encode(), file="page.yaml")
    assert len(document.local) == 3
    for model in (Microcontroller, Sensor, LocalRule, Feedback):
        for name in model.model_fields:
            assert f"`{name}`" in section("Microcontroller"), name
    for name in (*Actuator.model_fields, *Link.model_fields):
        assert f"`{name}`" in section("Sections"), name


def test_example_calibration_of_the_page_is_valid() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    text = example[1].replace("<64 hex digits>", "ab" * 32)
    assert parse_calibration(text.encode(), file="page.json").policy == "door"


def test_every_key_of_the_language_is_on_the_page() -> None:
    for model, title in ((Policy, "Sections"), (SignalDeclaration, "Signals"), (Rule, "Rules")):
        for name, field in model.model_fields.items():
            assert f"`{field.alias or name}`" in section(title), name
    assert all(name in section("Fallback rules") for name in Fallback.model_fields if name == "when")


def test_every_signal_of_models_frame_and_runtime_is_on_the_page() -> None:
    for name in (*MODEL_SIGNALS, *(n for names in OTHER_SIGNALS.values() for n in names)):
        assert f"`{name}`" in section("Signals")


def test_codes_named_on_the_page_exist() -> None:
    assert set(re.findall(r"EG\d{4}", PAGE)) <= {*CODES, *FINDINGS}
