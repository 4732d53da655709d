"""What the calibration measured of the models beside the primary, and whether it bears out what the policy states.

Bytes in, checked values out, findings reported: opens nothing, measures nothing (`edgeguard.calibrate` does).

Format of the calibration's member: {"confidence": SHARE, "models": {ROLE: hex digest}, "losses": [...],
"common": [...]}, each entry an object with the fields of `Loss` and `CommonMode`, `of_set` written as `set`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.policy.diagnostics import Report, quote

if TYPE_CHECKING:
    from edgeguard.policy.document import PolicyDocument
    from edgeguard.policy.strict import Fields

CONFIDENCE = 0.95
"""How sure every bound of a qualification is at least."""

CLEAN, STRESS = "clean", "stress"
"""Sets of pictures: as they are, and all of the corrupted ones together. Other sets are kinds of corruption."""

_AGAIN = "calibrate this policy again with `edgeguard calibrate`"
_MOST_ROWS = 1024
_KEYS = frozenset({"confidence", "models", "losses", "common"})
_LOSS = frozenset({"model", "primary", "pictures", "right", "lost", "gained", "at_most"})
_COMMON = frozenset({
    "model", "primary", "set", "pictures", "wrong", "failures", "common", "same", "at_least", "at_most",
    "same_at_most",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Loss:
    """What a model costs in right answers on clean pictures, against the primary alone on the plain picture."""

    model: str
    """Role: `filter` (the primary behind it), a redundant model, or an alternate of the primary."""
    primary: str
    """Role of the primary it is held against: `primary`, or an alternate such as `primary.1`."""
    pictures: int
    right: int
    """Pictures that `model` answers rightly."""
    lost: int
    """Pictures that the primary answers rightly and `model` does not."""
    gained: int
    """The other way round."""
    at_most: float
    """Upper bound on the loss, as a share of all pictures; negative where the model is surely better."""

    @property
    def share(self) -> float:
        """The measured loss, as a share of all pictures."""
        return (self.lost - self.gained) / self.pictures


@dataclass(frozen=True, slots=True)
class CommonMode:
    """How often a redundant model fails together with the primary, on one set of pictures.

    `beta` is the beta factor of the beta-factor model, counted per picture: the share of the failures of one channel
    that the other channel shares. Sources: Fleming, "A reliability model for common mode failures in redundant safety
    systems", GA-A13284, 1975; Mosleh et al., NUREG/CR-4780, 1988; IEC 61508-6:2010, Annex D. There it counts failures
    of a common cause only; here coincidences of independent failures count as well, so it is never too small.
    """

    model: str
    """Role of the redundant model."""
    primary: str
    """Role of the primary: what acts, so behind the filter where there is one."""
    of_set: str
    """`clean`, `stress`, or a kind of corruption."""
    pictures: int
    wrong: int
    """Pictures that the redundant model answers wrongly."""
    failures: int
    """Pictures that the primary answers wrongly."""
    common: int
    """Pictures that both answer wrongly."""
    same: int
    """Pictures that both answer wrongly and alike: no disagreement tells."""
    at_least: float
    """Lower bound on the beta factor."""
    at_most: float
    """Upper bound on the beta factor; 1 where the primary never failed."""
    same_at_most: float
    """Upper bound on the share of the primary's failures in which both give the same wrong answer."""

    @property
    def beta(self) -> float | None:
        """The measured beta factor; None: the primary never failed."""
        return self.common / self.failures if self.failures else None


@dataclass(frozen=True, slots=True)
class Qualified:
    """Every measured loss and common mode, with what they were measured on."""

    confidence: float
    """Probability with which each bound holds by itself, over the draw of the pictures."""
    models: Mapping[str, str]
    """Hex digest of every model that took part, by role."""
    losses: tuple[Loss, ...]
    common: tuple[CommonMode, ...]

    def to_json(self) -> dict[str, object]:
        """The calibration's member, for `json.dumps`."""
        return {
            "confidence": self.confidence,
            "models": dict(self.models),
            "losses": [{key: getattr(row, key) for key in sorted(_LOSS)} for row in self.losses],
            "common": [
                {key: getattr(row, "of_set" if key == "set" else key) for key in sorted(_COMMON)}
                for row in self.common
            ],
        }


def parse_qualification(fields: Fields, models: Mapping[str, str]) -> Qualified:
    """The member in `fields`; `models`: the digests of the file it is part of.

    Raises:
        ContractError: a field is not what it must be, counts contradict one another, or it speaks of other models.
    """
    fields.only(_KEYS)
    confidence = fields.share("confidence")
    measured = fields.digests("models")
    for role, digest in measured.items():
        if models.get(role) != digest:
            fields.refuse(f"`{fields.at}` was measured with another {quote(role)} than the thresholds")
    losses = tuple(_loss(row, measured) for row in fields.rows("losses", _MOST_ROWS))
    common = tuple(_common(row, measured) for row in fields.rows("common", _MOST_ROWS))
    for name, keys in (
        ("losses", [(row.model, row.primary) for row in losses]),
        ("common", [(row.model, row.primary, row.of_set) for row in common]),
    ):
        if len(set(keys)) != len(keys):
            fields.refuse(f"{fields.path(name)} says two things of the same models")
    return Qualified(confidence, measured, losses, common)


def _loss(row: Fields, models: Collection[str]) -> Loss:
    row.only(_LOSS)
    loss = Loss(
        model=_role(row, "model", models),
        primary=_role(row, "primary", models),
        pictures=row.whole("pictures", 1),
        right=row.whole("right", 0),
        lost=row.whole("lost", 0),
        gained=row.whole("gained", 0),
        at_most=row.within("at_most", -1.0, 1.0),
    )
    fitting = loss.gained <= loss.right and loss.right + loss.lost <= loss.pictures
    if not fitting or loss.at_most < loss.share:
        row.refuse(f"the counts of `{row.at}` contradict one another")
    return loss


def _common(row: Fields, models: Collection[str]) -> CommonMode:
    row.only(_COMMON)
    mode = CommonMode(
        model=_role(row, "model", models),
        primary=_role(row, "primary", models),
        of_set=row.text("set"),
        pictures=row.whole("pictures", 1),
        wrong=row.whole("wrong", 0),
        failures=row.whole("failures", 0),
        common=row.whole("common", 0),
        same=row.whole("same", 0),
        at_least=row.within("at_least", 0.0, 1.0),
        at_most=row.within("at_most", 0.0, 1.0),
        same_at_most=row.within("same_at_most", 0.0, 1.0),
    )
    fitting = (
        mode.same <= mode.common <= min(mode.wrong, mode.failures)
        and max(mode.wrong, mode.failures) <= mode.pictures
    )
    beta, same = (mode.common / mode.failures, mode.same / mode.failures) if mode.failures else (1.0, 1.0)
    bounded = mode.at_least <= beta <= mode.at_most and same <= mode.same_at_most
    if not (fitting and bounded):
        row.refuse(f"the counts of `{row.at}` contradict one another")
    return mode


def _role(row: Fields, key: str, models: Collection[str]) -> str:
    role = row.text(key)
    if role not in models:
        row.refuse(f"{row.path(key)} names {quote(role)}, which is none of the measured models")
    return role


def check_qualification(
    document: PolicyDocument, measured: Qualified | None, roles: Collection[str], report: Report
) -> None:
    """Report whatever the policy's `qualification` states and the calibration does not bear out (EG1324).

    `roles`: of every model that the policy names. That the admitted models are the measured ones is checked where they
    are admitted, by the calibration's digests.
    """
    stated = document.policy.qualification
    if not stated:
        return
    whole = document.source.key(("qualification",))
    if measured is None:
        message = "the calibration holds no qualification, and the policy states one"
        report.add("EG1324", message, whole, "run `edgeguard calibrate` on pictures with labels")
        return
    if measured.confidence < CONFIDENCE:
        message = f"the calibration is sure of its bounds by {measured.confidence:g}, not by {CONFIDENCE:g}"
        report.add("EG1324", message, whole, _AGAIN)
    for role in sorted(set(measured.models) ^ (set(roles) - {"fused"})):
        message = f"{quote(role)} is a model of the policy or of the calibration's qualification, not of both"
        report.add("EG1324", message, whole, _AGAIN)
    primaries = [role for role in roles if role.partition(".")[0] == "primary"]
    for name, bounds in stated.items():
        for key, bound, judge in (
            ("accuracy_loss", bounds.accuracy_loss, _loss_above),
            ("common_mode", bounds.common_mode, _common_above),
        ):
            if bound is None:
                continue
            place = document.source.value(("qualification", name, key))
            for model, primary in _pairs(name, primaries):
                for message, hint in judge(measured, model, primary, bound):
                    report.add("EG1324", message, place, hint)


def _pairs(name: str, primaries: Sequence[str]) -> list[tuple[str, str]]:
    """Which model is held against which primary: a model against each of them, alternates against the first."""
    if name != "primary":
        return [(name, primary) for primary in primaries]
    return [(alternate, name) for alternate in primaries[1:]] or [(name, name)]


def _loss_above(measured: Qualified, name: str, primary: str, bound: float) -> Iterator[tuple[str, str]]:
    """What stands against a stated loss: a message and a hint each."""
    rows = [row for row in measured.losses if (row.model, row.primary) == (name, primary)]
    if not rows:
        yield f"the calibration holds no accuracy of {quote(name)} beside {quote(primary)}", _AGAIN
    for row in rows:
        if row.at_most > bound:
            message = (
                f"{quote(name)} may cost {row.at_most:.3%} of the right answers of {quote(primary)}, more than "
                f"{bound:.3%} (lost {row.lost}, gained {row.gained} of {row.pictures} clean pictures)"
            )
            yield message, "calibrate with more pictures, take a better model, or state a larger loss"


def _common_above(measured: Qualified, name: str, primary: str, bound: float) -> Iterator[tuple[str, str]]:
    """What stands against a stated beta factor: the bound under stress, and each set that disproves it."""
    rows = {row.of_set: row for row in measured.common if (row.model, row.primary) == (name, primary)}
    held = rows.get(STRESS) or rows.get(CLEAN)
    if held is None:
        yield f"the calibration holds no common mode of {quote(name)} and {quote(primary)}", _AGAIN
        return
    other = "take a model that fails otherwise, calibrate with more pictures, or state a larger share"
    if held.at_most > bound and not held.failures:
        message = (
            f"{quote(primary)} never failed on {held.pictures} {held.of_set} pictures: nothing bounds its common mode "
            f"with {quote(name)}"
        )
        yield message, "calibrate with `--stress`, or with harder pictures"
    elif held.at_most > bound:
        yield f"{_beta(held)} of at most {held.at_most:.3g}, more than {bound:g}", other
    for row in rows.values():
        if row.at_least > bound and row is not held:
            yield f"{_beta(row)} of at least {row.at_least:.3g}, more than {bound:g}", other


def _beta(row: CommonMode) -> str:
    return (
        f"{quote(row.model)} shares {row.common} of {row.failures} failures of {quote(row.primary)} "
        f"({row.of_set} pictures): a beta factor"
    )
