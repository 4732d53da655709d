"""The stable codes of what the desk finds in a policy that loads. Never reused or renumbered; each has a page in
`docs/errors/` and a policy under `tests/desk/` that triggers it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        # 14xx: `policy lint`
        "EG1401": "a signal or a sensor that nothing reads",
        "EG1402": "a macro that nothing uses",
        "EG1403": "a rule that can never clear",
        "EG1404": "a demand that nothing carries out",
        "EG1405": "a handover ladder that does not fit the rules",
        "EG1406": "a rule that holds while all is well",
        "EG1407": "a rule without hysteresis",
        "EG1408": "a rule that holds and clears on the same values",
        "EG1409": "a condition that always comes out the same",
        "EG1410": "the same condition twice",
        "EG1411": "a fallback row that changes nothing",
        "EG1412": "one value that counts as several frames",
        "EG1413": "one process that vouches for models against each other",
        "EG1414": "a rule of the microcontroller that never acts",
        "EG1415": "feedback that holds nothing back",
        "EG1416": "an authority that may vouch for anybody",
        "EG1417": "a signer who has nothing to sign",
        "EG1418": "a device without a clock and without a memory",
        # 15xx: `policy test`
        "EG1501": "a test that did not see what it expects",
        "EG1502": "coverage below what was asked for",
        "EG1503": "a policy that cannot be armed while all is well",
        "EG1504": "a cases file that cannot be used",
        "EG1505": "an invariant broken during a test",
        "EG1506": "a test that would take too long",
        # 16xx: `policy prove` and `policy analyze`
        "EG1601": "not total: an input for which the rules command nothing",
        "EG1602": "a rule or fallback row that is never reached, or shadowed",
        "EG1603": "the model acts while a cause holds",
        "EG1604": "more doubt gives more authority",
        "EG1605": "the safe state is left by somebody else than the operator",
        "EG1606": "a state from which a human cannot take over",
        "EG1607": "two causes together have no defined outcome",
        "EG1608": "modes change for ever while the input stays the same",
        "EG1609": "an invariant does not hold",
        "EG1610": "neither proved nor refuted",
        "EG1611": "a rule that repeats what others say",
        "EG1612": "an outcome that depends on the order of rows",
        "EG1613": "a rule that always holds",
        # 17xx: `policy compare`
        "EG1701": "more permissive than before",
        "EG1702": "neither stricter nor more permissive",
    }
)
