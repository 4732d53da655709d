"""Does the calibration's certificate vouch for the risk that the policy states? Called when a policy is compiled."""

from __future__ import annotations

from edgeguard.policy.calibration import Certificate
from edgeguard.policy.diagnostics import Report
from edgeguard.policy.document import PolicyDocument


def check_risk(document: PolicyDocument, certificate: Certificate | None, report: Report) -> None:
    """Report a certificate that is missing, or weaker than the policy's `risk` (EG1319)."""
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
