"""The stable codes of policy diagnostics, with the sentence that each stands for.

A code is never reused or renumbered. Every code has a page in `docs/errors/` and a triggering fixture in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        # 10xx: the text as YAML
        "EG1001": "the policy file is too large",
        "EG1002": "the policy file is not UTF-8",
        "EG1003": "a control, invisible or direction-changing character",
        "EG1004": "the text is not YAML",
        "EG1005": "the same key twice in one mapping",
        "EG1006": "an anchor or an alias",
        "EG1007": "a tag or a directive",
        "EG1008": "a merge key",
        "EG1009": "more than one document",
        "EG1010": "nested too deeply, or too many values",
        "EG1011": "a value that YAML readers understand differently",
        "EG1012": "a key that is not a name",
        "EG1013": "the policy is not a mapping",
        "EG1014": "a number that cannot be represented",
        # 11xx: the sections and their values
        "EG1101": "an unknown key",
        "EG1102": "a required key is missing",
        "EG1103": "the wrong kind of value",
        "EG1104": "a badly formed name",
        "EG1105": "a badly written duration, span or rate",
        "EG1106": "a value outside what is allowed",
        "EG1107": "not one of the allowed words",
        "EG1108": "a version of the policy language that is not known",
        "EG1109": "a demand that this version does not carry out",
        "EG1110": "an unknown unit",
        # 12xx: expressions
        "EG1201": "an expression that cannot be read",
        "EG1202": "an expression too long, too deep or too large",
        "EG1203": "an unknown name in an expression",
        "EG1204": "an expression whose kinds do not fit",
        "EG1205": "division by something other than a non-zero literal",
        "EG1206": "a constant that overflows",
        "EG1207": "units that do not fit",
        "EG1208": "a named expression that is not defined yet",
        # 13xx: what the sections say together
        "EG1301": "the same rule id twice",
        "EG1302": "a reference to something that is not declared",
        "EG1303": "a human handover without a time budget, or a budget without a handover",
        "EG1304": "an envelope that contradicts itself",
        "EG1305": "a command that does not name exactly the actuators of the envelope",
        "EG1306": "a command outside the envelope",
        "EG1307": "a calibrated threshold without a calibration",
        "EG1308": "a threshold that the calibration does not hold",
        "EG1309": "too slow for the stated fault-tolerant time interval",
        "EG1310": "an escalation ladder that contradicts itself",
        "EG1311": "a signal that its source does not give",
        "EG1312": "a fallback rule that can never be reached",
        "EG1313": "a reserved name",
        "EG1314": "a calibration made for another policy",
        "EG1315": "link times that contradict each other",
        "EG1316": "nothing to admit models or calibration with",
        "EG1317": "a threshold that its signal can never cross",
        "EG1318": "models whose answers may grow old unseen",
        "EG1319": "the calibration does not vouch for the stated risk",
        "EG1320": "one name for two things",
        "EG1321": "a signal whose keys contradict each other",
        "EG1322": "a test of two forms at once",
        "EG1323": "a redundancy relation that relates nothing",
        "EG1324": "the calibration does not vouch for the stated qualification",
        "EG1325": "a look that cannot run where the policy puts it",
        "EG1326": "a channel that leads nowhere, or a worker without one",
        "EG1327": "a signal that its schedule lets grow stale",
        "EG1328": "a schedule that cannot be kept",
        "EG1329": "a condition on what is not known yet",
        "EG1330": "a model given what it has no use for",
        "EG1331": "a worker given what it has no use for, or not what it needs",
        "EG1332": "a condition that the microcontroller cannot evaluate",
        "EG1333": "a number that the microcontroller cannot hold",
        "EG1334": "one key for the host and the operator",
        "EG1335": "a signer that is not one key, one authority or one identity",
        "EG1336": "a signer who cannot give the second signature",
        "EG1337": "trust in what is revoked",
        "EG1338": "an entry of `admission` that never counts",
        "EG1339": "something that nobody may sign",
    }
)
