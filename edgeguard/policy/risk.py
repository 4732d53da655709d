"""Does the calibration's certificate vouch for the risk that the policy states? Called when a policy is compiled."""

from __future__ import annotations

from collections.abc import Iterable

from edgeguard.policy.calibration import Certificate
from edgeguard.policy.diagnostics import Report, quote
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree


def check_risk(
    document: PolicyDocument,
    certificate: Certificate | None,
    report: Report,
    *,
    certified: Iterable[str] = (),
) -> None:
    """Report a certificate that is missing, weaker than the policy's `risk`, or about another policy (EG1319).

    `certified`: the thresholds that refused an answer when the certificate was made. It speaks of the answers that pass
    all of them, so each must be in a rule that takes authority.
    """
    risk = document.policy.risk
    if risk is None:
        return
    again = "calibrate again with `edgeguard calibrate`, on more data or with a smaller risk"
    if certificate is None:
        message = "the calibration has no certificate, and the policy states a risk"
        report.add("EG1319", message, document.source.key(("risk",)), again)
        return
    if certificate.at_most > risk.at_most:
        message = (
            f"the calibration vouches for a risk of at most {certificate.at_most:g}, not {risk.at_most:g}"
        )
        report.add("EG1319", message, document.source.value(("risk", "at_most")), again)
    if certificate.confidence < risk.confidence:
        message = f"the calibration is sure by {certificate.confidence:g}, not by {risk.confidence:g}"
        report.add("EG1319", message, document.source.value(("risk", "confidence")), again)
    enforced = [trigger.when for trigger in document.triggers if trigger.mode == "enforce"]
    used = {name for when in enforced for name in tree.thresholds(when)}
    for name in certified:
        if name not in used:
            message = f"the calibration counts on the threshold of {quote(name)}, which no rule in mode `enforce` uses"
            hint = "let such a rule use it, or take it out of the policy and calibrate again"
            report.add("EG1319", message, document.source.key(("risk",)), hint)
