"""How far figures are to be trusted: spreads, and the load of the machine; as measure/spread.h and measure/load.h in C++."""
import math
import os
import platform
import time

SPREAD_LIMIT = 0.20  # of either side of a ratio; above it the ratio is left out
LOAD_LIMIT = 0.10    # of others' share of the processors' time; above it there is a warning
FOOTNOTE = (f"`-`: no ratio, because the case or what it is compared with varied by more than {100 * SPREAD_LIMIT:.0f} %.")


def percentile(ordered, share):
    """Between two samples by a straight line."""
    at = share * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def spread(samples):
    """(90th - 10th percentile) / median"""
    ordered = sorted(samples)
    return (percentile(ordered, 0.9) - percentile(ordered, 0.1)) / percentile(ordered, 0.5)


def is_steady(*spreads):
    """Whether a ratio of measurements with these spreads may be printed. None, an unknown spread: no."""
    return all(value is not None and value <= SPREAD_LIMIT for value in spreads)


def ratio(text, *spreads):
    """`text`, or "-" where either side was not steady."""
    return text if is_steady(*spreads) else "-"


def percent(share):
    return "unknown" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def load_warnings(at_start, meanwhile):
    """One for each of others' shares of the processors' time that is above the limit; None: unknown."""
    return [f"others took {percent(share)} of the processors' time {when}, more than {percent(LOAD_LIMIT)}: "
            f"measure again on a quiet machine"
            for share, when in ((at_start, "before"), (meanwhile, "meanwhile")) if share is not None and share > LOAD_LIMIT]


def load_line(average_at_start, average_at_end, at_start, meanwhile):
    def number(value):
        return "unknown" if value is None else f"{value:.1f}"
    return (f"load average {number(average_at_start)} at the start, {number(average_at_end)} at the end; others took "
            f"{percent(at_start)} of the processors' time before, {percent(meanwhile)} meanwhile")


def average():
    """The load average over one minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


class Load:
    """Watches the machine for a quarter of a second, then until `meanwhile`."""

    def __init__(self):
        self.average_at_start = average()
        before = self._now()
        time.sleep(0.25)
        self._start = self._now()
        self.at_start = self._others(before, self._start)

    def meanwhile(self):
        """Share of all processors' time that others took, 0 to 1; None: unknown."""
        return self._others(self._start, self._now())

    @staticmethod
    def _now():
        """Processor seconds: of everything but idling, of everything, of this process and its children."""
        own = sum(os.times()[:4])
        try:
            with open("/proc/stat", encoding="ascii") as file:
                ticks = [int(word) for word in file.readline().split()[1:9]]
        except (OSError, ValueError):
            return 0.0, 0.0, own
        tick = 1 / os.sysconf("SC_CLK_TCK")
        return tick * (sum(ticks) - ticks[3] - ticks[4]), tick * sum(ticks), own

    @staticmethod
    def _others(begin, end):
        busy, everything, own = (b - a for a, b in zip(begin, end))
        return min(max((busy - own) / everything, 0.0), 1.0) if everything > 0 else None


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.lower().startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.machine()
