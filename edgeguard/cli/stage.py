"""Where the cameras of `edgeguard run` are shown: a page for one, a table for several, plain lines without a terminal.

It puts each camera together for the loop; what it shows, it was told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from edgeguard.cli.loop import Camera
from edgeguard.cli.posts import Post
from edgeguard.console import Extra, Keys, PlainScreen, TableScreen, open_screen
from edgeguard.types import Verdict

if TYPE_CHECKING:
    from edgeguard.types import Image

Show = Callable[[Verdict, "Image | None"], None]
Tell = Callable[[str], None]


def cameras_on(stack: ExitStack, posts: Sequence[Post], keys: Keys, *, headless: bool) -> list[Camera]:
    """Make the loop's cameras, each with its place on the page; `stack` gives the terminal back."""
    console, start = Console(), time.monotonic()
    extras = [_extra_of(post, keys, start) for post in posts]
    if len(posts) == 1:
        screen = stack.enter_context(open_screen(console, posts[0].guard.program, headless=headless))
        shows: list[tuple[Show, Tell]] = [
            (lambda verdict, image: screen.show(verdict, image, extras[0]()), lambda _: None)
        ]
    elif headless or not console.is_terminal or console.is_dumb_terminal:
        width = max(len(post.name) for post in posts)
        shows = [_lines(console, post.name.ljust(width), extra) for post, extra in zip(posts, extras)]
    else:
        program = posts[0].guard.program
        title = f"{program.name} version {program.version}"
        table = stack.enter_context(TableScreen(console, title, [post.name for post in posts]))
        shows = [_row(table, post.name, extra) for post, extra in zip(posts, extras)]
    return [
        Camera(post.name, post.guard, post.source, show, _giving_up(post, tell))
        for post, (show, tell) in zip(posts, shows)
    ]


def _extra_of(post: Post, keys: Keys, start: float) -> Callable[[], Extra]:
    def extra() -> Extra:
        return Extra(
            start=start,
            link=None if post.link is None else post.link.status,
            log_healthy=post.log is None or post.log.healthy,
            note=post.source.trouble or f"source {post.source.name}",
            keys=keys.active,
        )

    return extra


def _lines(console: Console, name: str, extra: Callable[[], Extra]) -> tuple[Show, Tell]:
    screen = PlainScreen(console, prefix=f"{name}  ")

    def tell(why: str) -> None:
        console.print(f"{name}  failed: {why}", markup=False, highlight=False, soft_wrap=True)

    return (lambda verdict, image: screen.show(verdict, image, extra())), tell


def _row(table: TableScreen, name: str, extra: Callable[[], Extra]) -> tuple[Show, Tell]:
    return (lambda verdict, _: table.show(name, verdict, extra())), (lambda why: table.gone(name, why))


def _giving_up(post: Post, tell: Tell) -> Callable[[Exception], None]:
    def give_up(error: Exception) -> None:
        if post.link is not None:
            post.link.close()
        tell(str(error))

    return give_up
