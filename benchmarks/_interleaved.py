"""Timing contenders in turn, so that the machine's moods meet all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Figures = tuple[float, float]  # wall and CPU seconds


def timed(run: Callable[[], object]) -> Callable[[], Figures]:
    """Return what runs it and says how long that took."""

    def measured() -> Figures:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        return time.perf_counter() - wall, time.process_time() - cpu

    return measured


def compare(
    title: str,
    contenders: Mapping[str, Callable[[], Figures]],
    rounds: int,
    warm_up: int = 20,
) -> None:
    """Run each contender once a round, and print medians with ratios to the first of them.

    Args:
        title: What is measured.
        contenders: What to call, and it says how long it took; the first is the peer.
        rounds: How often, after the warm-up.
        warm_up: Rounds that do not count.
    """
    seen: dict[str, list[Figures]] = {name: [] for name in contenders}
    for turn in range(rounds + warm_up):
        for name, run in contenders.items():
            figures = run()
            if turn >= warm_up:
                seen[name].append(figures)
    peer = next(iter(seen.values()))
    print(f"{title}, {rounds} rounds")
    print(f"  {'':36}{'wall us':>10}{'cpu us':>10}{'wall':>8}{'cpu':>8}")
    for name, measured in seen.items():
        wall, cpu = (statistics.median(column) * 1e6 for column in zip(*measured, strict=True))
        pairs = list(zip(measured, peer, strict=True))
        ratios = [statistics.median(mine[i] / theirs[i] for mine, theirs in pairs) for i in (0, 1)]
        print(f"  {name:36}{wall:10.0f}{cpu:10.0f}{ratios[0]:8.3f}{ratios[1]:8.3f}")
