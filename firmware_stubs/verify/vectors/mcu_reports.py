"""What a microcontroller reports of itself: every field of STATUS that a request or time changes, and HELLO's times.

Every verdict is written here by hand, from docs/reference/link-protocol.md; nothing is taken from a program.
"""

from __future__ import annotations

from mcu import ARM, DISARM, HUMAN, MODEL, RELEASE, RULES, SAFE, Sequence, sequence

DEGRADED, READY = 0x81, 0x82


@sequence()
def _echo(s: Sequence) -> None:
    """STATUS echoes the counter of the host's last accepted COMMAND: no refused one's, and never the operator's"""
    s.open()
    s.wait(1, sent=[s.status(counter=1, counter_echo=0)])
    s.command(counter=5)
    s.command(2, counter=6, mcu_ms_echo=s.now - 101)
    s.command(4, counter=7, actuator=2)
    s.operator(DISARM, counter=4000)
    s.wait(20, sent=[s.status(counter=3, counter_echo=5), s.status(counter=4, counter_echo=5)])
    s.command(action=DISARM, source=SAFE, value=0, counter=9)
    s.operator(RELEASE, counter=4001)
    s.wait(20, sent=[s.status(counter=5, counter_echo=9)])
    s.open()
    s.wait(1, sent=[s.status(counter=1, counter_echo=0)])


@sequence()
def _ages(s: Sequence) -> None:
    """STATUS' age counts 100 us from the host's last accepted COMMAND, or from the OPEN, up to 65535"""
    s.open()
    s.wait(1, sent=[s.status(age=10)])
    s.wait(20, sent=[s.status(age=210)])
    s.wait(7)
    s.command()
    s.wait(3)
    s.command(2, mcu_ms_echo=s.now - 101)
    s.operator(DISARM)
    s.wait(10, sent=[s.status(age=130)])
    s.wait(6520, sent=[s.status(age=65330)])
    s.wait(20, sent=[s.status(age=65530)])
    s.wait(20, sent=[s.status(age=65535)])
    s.wait(20, sent=[s.status(age=65535)])
    s.wait(1)
    s.open()
    s.wait(1, sent=[s.status(age=10)])


@sequence()
def _sources(s: Sequence) -> None:
    """STATUS' source while enabled is the most restrictive of the actuators', and 3 otherwise"""
    s.open()
    s.ready()
    s.wait(1, sent=[s.status(source=3, mode=0)])
    s.operator(ARM, mode="enabled")
    s.wait(1, sent=[s.status(source=RULES, mode=1, reason=1)])
    for first, second, told in ((HUMAN, RULES, HUMAN), (MODEL, HUMAN, HUMAN), (SAFE, RULES, SAFE)):
        s.command(source=first)
        s.command(actuator=1, source=second)
        s.wait(20, sent=[s.status(source=told, actuator=n, mode=1) for n in range(2)])
    s.command(source=MODEL)
    s.command(actuator=1, source=RULES)
    s.command(12, actuator=1, source=MODEL)
    s.command(3, source=4)
    s.wait(20, sent=[s.status(source=RULES, mode=1)])
    s.operator(DISARM)
    s.wait(1, sent=[s.status(source=3, mode=2, reason=3)])


@sequence()
def _degraded(s: Sequence) -> None:
    """STATUS says degraded while enabled and without a COMMAND for more than `degraded`: not at exactly 50 ms"""
    s.enable()
    s.wait(1, sent=[s.status(mode=1, flags=READY)])
    s.wait(10)
    s.command()
    s.command(actuator=1, source=RULES)
    s.wait(49)
    s.wait(1, sent=[s.status(mode=1, flags=READY)])
    s.wait(9)
    s.command(actuator=1, source=RULES)
    s.wait(10)
    s.wait(1, sent=[s.status(mode=1, flags=DEGRADED)])
    s.round()
    s.wait(9)
    s.command()
    s.command(actuator=1, source=RULES)
    s.wait(50)
    s.wait(1, sent=[s.status(mode=1, flags=DEGRADED)])
    s.wait(39)
    s.wait(1, sent=[{"message": "OFFER", "fields": {"mode": 1, "flags": DEGRADED}}])
    s.operator(DISARM)
    s.wait(1, sent=[s.status(mode=2, flags=0x80)])


@sequence()
def _checksum(s: Sequence) -> None:
    """A bad checksum raises `crc_errors` and nothing else"""
    s.enable()
    s.wait(1, sent=[s.status(rejected=0, crc_errors=0, refusal=0)])
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND", mode="enabled")
    s.spoilt(s.frame("COMMAND", s.set_body(100), 2), "a COMMAND on link 2", mode="enabled")
    s.wait(20, ready=True, sent=[s.status(rejected=0, crc_errors=2, refusal=0, dropped=0)])
    s.command(22, counter=1)
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND", mode="enabled")
    s.wait(20, sent=[s.status(rejected=1, crc_errors=3, refusal=22, dropped=0)])


@sequence()
def _counts(s: Sequence) -> None:
    """STATUS counts what was refused since the reset, in whatever session, and says why it was last"""
    s.command(21)
    s.open(20, protocol=1)
    s.open()
    s.wait(1, sent=[s.status(rejected=2, refusal=20)])
    s.command(23, data_id=0)
    s.command()
    s.wait(20, sent=[s.status(rejected=3, refusal=23)])
    s.open()
    s.wait(1, sent=[s.status(rejected=3, refusal=23)])


@sequence()
def _counts_reset(s: Sequence) -> None:
    """After a reset `rejected`, `crc_errors` and `refusal` are 0 again, and so is `counter_echo`"""
    s.open()
    s.command(counter=77)
    s.command(23, data_id=0)
    s.spoilt(s.frame("COMMAND", s.set_body(100), 0), "a COMMAND")
    s.wait(1, sent=[s.status(rejected=1, crc_errors=1, refusal=23, counter_echo=77)])
    s.reset()
    s.wait(1)
    s.open()
    fields: dict[str, int] = {
        "counter": 1,
        "rejected": 0,
        "crc_errors": 0,
        "dropped": 0,
        "refusal": 0,
        "counter_echo": 0,
    }
    s.wait(1, sent=[s.status(mode=0, reason=0, **fields)])


@sequence()
def _values(s: Sequence) -> None:
    """Where an output came to rest it is the target: moved into min..max, and the safe value for source 3"""
    s.enable()
    for first, second, told in (
        ((250_000, MODEL), (2_000_000, RULES), (250_000, 1_000_000)),
        ((-100_000, MODEL), (-2_000_000, HUMAN), (-100_000, 0)),
        ((250_000, SAFE), (400_000, RULES), (0, 400_000)),
        ((1, MODEL), (0, SAFE), (1, 1_000_000)),
    ):
        for _ in range(8):
            s.command(value=first[0], source=first[1])
            s.command(actuator=1, value=second[0], source=second[1])
            s.wait(40, mode="enabled")
        s.wait(20, sent=[s.status(actuator=n, value=told[n]) for n in range(2)])
    s.operator(DISARM)
    s.wait(300)
    s.wait(20, sent=[s.status(actuator=0, value=0), s.status(actuator=1, value=1_000_000)])


@sequence()
def _hellos(s: Sequence) -> None:
    """HELLO comes at once after a reset, 50 ms later, and 200 ms after an OPEN"""
    hello = [{"message": "HELLO", "fields": {"flags": 0x80}}]
    s.wait(2, sent=hello)
    s.wait(46, not_sent=["HELLO"])
    s.wait(4, sent=hello)
    s.open()
    s.wait(198, not_sent=["HELLO"])
    again = [{"message": "HELLO", "fields": {"flags": 0x81}}]
    s.wait(4, sent=again)
    s.wait(194, not_sent=["HELLO"])
    s.wait(8, sent=again)
