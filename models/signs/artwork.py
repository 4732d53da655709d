"""Which artwork shows which sign, where it comes from, and the signs drawn here because no archive has them.

Sources are public domain (Debian `openclipart-svg`) or drawn by this project (CC0). No file is opened here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CLASSES = (
    "none", "stop", "yield", "no_entry", "speed_30", "speed_100", "end_limits", "priority_road", "ahead_only",
    "turn_left", "keep_left", "parking", "bus_lane", "cycles", "no_pedestrians", "danger", "road_works",
)  # fmt: skip

KNOWN = ("train", "calibration", "test")
NEW = ("shift",)  # held out: the "new artwork" shift
OBJECT: tuple[str, ...] = ()  # shown as `unknown`, never trained on


@dataclass(frozen=True, slots=True)
class Artwork:
    name: str
    sign: str
    splits: tuple[str, ...]
    clipart: str = ""  # path below openclipart's svg folder; empty: drawn here
    svg: str = ""


def _svg(body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200" viewBox="0 0 200 200">{body}</svg>'
    )


def _text(word: str, size: int, family: str, colour: str = "#111", y: int = 100, weight: str = "bold") -> str:
    baseline = y + round(size * 0.36)
    return (
        f'<text x="100" y="{baseline}" font-family="{family}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="middle" fill="{colour}">{word}</text>'
    )


def _polygon(sides: int, radius: float, turn: float, fill: str) -> str:
    corners = [(2 * math.pi * k / sides + turn) for k in range(sides)]
    points = " ".join(f"{100 + radius * math.cos(a):.1f},{100 + radius * math.sin(a):.1f}" for a in corners)
    return f'<polygon points="{points}" fill="{fill}"/>'


def _stop(family: str, size: int, red: str) -> str:
    eighth = math.pi / 8
    plate = _polygon(8, 100, eighth, "#fff") + _polygon(8, 93, eighth, red)
    return _svg(plate + _text("STOP", size, family, "#fff"))


def _triangle(point: str, border: str, inside: str, inner: float, word: str = "", family: str = "") -> str:
    down = point == "down"
    turn = math.pi / 2 if down else -math.pi / 2
    body = _polygon(3, 112, turn, border) + _polygon(3, inner, turn, inside)
    return _svg(
        f'<g transform="translate(0 {-20 if down else 20})">{body}</g>'
        + (_text(word, 88, family, y=118) if word else "")
    )


def _disc(border: str, inside: str, inner: float, body: str) -> str:
    rim = f'<circle cx="100" cy="100" r="98" fill="{border}"/>'
    return _svg(rim + f'<circle cx="100" cy="100" r="{inner}" fill="{inside}"/>{body}')


def _limit(value: str, family: str, size: int, inner: float, red: str) -> str:
    return _disc(red, "#fff", inner, _text(value, size, family))


def _ended(bars: int, shade: str) -> str:
    step = 14
    lines = "".join(
        f'<line x1="{40 + o}" y1="{160 + o}" x2="{160 + o}" y2="{40 + o}" stroke="{shade}" stroke-width="9"/>'
        for o in [(k - (bars - 1) / 2) * step for k in range(bars)]
    )
    return _disc("#333", "#fff", 93, lines)


def _diamond(yellow: str, inner: float, edge: str) -> str:
    return _svg(_polygon(4, 99, 0, edge) + _polygon(4, 95, 0, "#fff") + _polygon(4, inner, 0, yellow))


def _arrow(turn: int, blue: str, half: int, head: int) -> str:
    neck = 40 + head
    right = f"{100 + head},{neck} {100 + half},{neck} {100 + half},165"
    shape = f"100,30 {right} {100 - half},165 {100 - half},{neck} {100 - head},{neck}"
    return _disc(
        "#fff", blue, 93, f'<polygon points="{shape}" fill="#fff" transform="rotate({turn} 100 100)"/>'
    )


def _square(word: str, blue: str, family: str) -> str:
    plate = '<rect x="4" y="4" width="192" height="192" rx="14" fill="#fff"/>'
    plate += f'<rect x="12" y="12" width="176" height="176" rx="10" fill="{blue}"/>'
    return _svg(plate + _text(word, 150, family, "#fff"))


def _barred(red: str, height: int, inner: float) -> str:
    bar = f'<rect x="32" y="{100 - height // 2}" width="136" height="{height}" fill="#fff"/>'
    return _disc("#fff", red, inner, bar)


SANS, NARROW, SERIF = "DejaVu Sans", "Liberation Sans Narrow", "DejaVu Serif"


def _clip(name: str, sign: str, splits: tuple[str, ...], path: str) -> Artwork:
    return Artwork(name, sign, splits, clipart=path)


def _own(name: str, sign: str, splits: tuple[str, ...], svg: str) -> Artwork:
    return Artwork(name, sign, splits, svg=svg)


_ROAD, _SYMBOL = "transportation/roadsigns/", "signs_and_symbols/"

ARTWORKS = (
    _clip("stop_a", "stop", KNOWN, _ROAD + "stop_sign_right_font_mig_.svg"),
    _clip("stop_b", "stop", KNOWN, _SYMBOL + "stop_sign_miguel_s_nchez_.svg"),
    _own("stop_c", "stop", KNOWN, _stop(SANS, 58, "#c1121c")),
    _own("stop_d", "stop", KNOWN, _stop(NARROW, 76, "#b01020")),
    _clip("stop_e", "stop", NEW, _ROAD + "stop_sign_01.svg"),
    _clip("stop_f", "stop", NEW, "computer/icons/stopsign_joel_montes_de__01.svg"),
    _clip("yield_a", "yield", KNOWN, _ROAD + "Give_Way.svg"),
    _own("yield_b", "yield", KNOWN, _triangle("down", "#c1121c", "#fff", 72)),
    _clip("yield_c", "yield", NEW, _ROAD + "yield.svg"),
    _clip("no_entry_a", "no_entry", KNOWN, _ROAD + "no_entry.svg"),
    _own("no_entry_b", "no_entry", KNOWN, _barred("#c1121c", 34, 94)),
    _clip("no_entry_c", "no_entry", NEW, _ROAD + "do_not_enter_sign_01.svg"),
    _own("speed_30_a", "speed_30", KNOWN, _limit("30", SANS, 92, 76, "#c1121c")),
    _own("speed_30_b", "speed_30", KNOWN, _limit("30", NARROW, 118, 78, "#b01020")),
    _own("speed_30_c", "speed_30", NEW, _limit("30", SERIF, 88, 74, "#d02030")),
    _own("speed_100_a", "speed_100", KNOWN, _limit("100", SANS, 66, 76, "#c1121c")),
    _own("speed_100_b", "speed_100", KNOWN, _limit("100", NARROW, 92, 78, "#b01020")),
    _own("speed_100_c", "speed_100", NEW, _limit("100", SERIF, 62, 74, "#d02030")),
    _own("end_limits_a", "end_limits", KNOWN, _ended(5, "#222")),
    _own("end_limits_b", "end_limits", KNOWN, _ended(4, "#444")),
    _own("end_limits_c", "end_limits", NEW, _ended(3, "#222")),
    _own("priority_road_a", "priority_road", KNOWN, _diamond("#f5c400", 70, "#222")),
    _own("priority_road_b", "priority_road", KNOWN, _diamond("#e8b000", 76, "#fff")),
    _own("priority_road_c", "priority_road", NEW, _diamond("#ffd84d", 62, "#666")),
    _clip("ahead_only_a", "ahead_only", KNOWN, _SYMBOL + "ahead_only.svg"),
    _own("ahead_only_b", "ahead_only", KNOWN, _arrow(0, "#0a5ca8", 14, 44)),
    _own("ahead_only_c", "ahead_only", NEW, _arrow(0, "#1a78d0", 20, 52)),
    _clip("turn_left_a", "turn_left", KNOWN, _ROAD + "turn_left.svg"),
    _own("turn_left_b", "turn_left", KNOWN, _arrow(-90, "#0a5ca8", 14, 44)),
    _own("turn_left_c", "turn_left", NEW, _arrow(-90, "#1a78d0", 20, 52)),
    _clip("keep_left_a", "keep_left", KNOWN, _ROAD + "keep_left.svg"),
    _own("keep_left_b", "keep_left", KNOWN, _arrow(-135, "#0a5ca8", 14, 44)),
    _own("keep_left_c", "keep_left", NEW, _arrow(-135, "#1a78d0", 20, 52)),
    _clip("parking_a", "parking", KNOWN, _ROAD + "parking_romus_01.svg"),
    _own("parking_b", "parking", KNOWN, _square("P", "#0a5ca8", SANS)),
    _own("parking_c", "parking", NEW, _square("P", "#1a78d0", SERIF)),
    _clip("bus_lane_a", "bus_lane", KNOWN, _ROAD + "bus_lane.svg"),
    _clip("bus_lane_b", "bus_lane", NEW, _ROAD + "bus_opposite.svg"),
    _clip("cycles_a", "cycles", KNOWN, _ROAD + "cycles.svg"),
    _clip("no_pedestrians_a", "no_pedestrians", KNOWN, _SYMBOL + "no_entrance_sign_martin__01.svg"),
    _clip("no_pedestrians_b", "no_pedestrians", NEW, _SYMBOL + "interdiction_pietons_yve_01.svg"),
    _clip("danger_a", "danger", KNOWN, _SYMBOL + "danger_general_yves_guil_01.svg"),
    _own("danger_b", "danger", KNOWN, _triangle("up", "#c1121c", "#fff", 78, "!", SANS)),
    _own("danger_c", "danger", NEW, _triangle("up", "#d02030", "#fff", 70, "!", SERIF)),
    _clip("road_works_a", "road_works", KNOWN, _ROAD + "man_w_umbrella.svg"),
    _clip("road_works_b", "road_works", KNOWN, _ROAD + "warning..._cedric_bosdon_.svg"),
    *(
        _clip(f"unknown_{k:02d}", "unknown", OBJECT, path)
        for k, path in enumerate(
            (
                _SYMBOL + "radioactive_sign_01.svg", _SYMBOL + "hydrant_romus_01.svg",
                _SYMBOL + "traffic_light_red_dan_ge_01.svg", _SYMBOL + "wc_romus_01.svg",
                _SYMBOL + "premiers_secours_yves_gu_01.svg", _SYMBOL + "sortie_issue_de_secours_01.svg",
                _SYMBOL + "recycling_symbol_a.j._as_01.svg", _SYMBOL + "peace_symbol_petri_lumme_01.svg",
                _ROAD + "interstate_highway_sign_01.svg", _ROAD + "route_jakob_chaosinfa_.svg",
                _SYMBOL + "eye_01.svg", _ROAD + "watch_for_bicycles_sign_01.svg", _ROAD + "double_arrow_sign_01.svg",
                _ROAD + "lorry_limit.svg", _SYMBOL + "protection_obligatoire__03.svg", _ROAD + "cattle.svg",
            )
        )
    ),
)  # fmt: skip
