"""How long things take on purpose: leaves, which get slower as more workers are to be kept busy, and timers, which leave no trace.

It never makes an intermediate wait unless the profile is `timers`.
"""

import argparse
import random
import time

# So many requests at once are kept busy by leaves as they are.
EASY_CONCURRENCY = 2
# The mean of one wait on a timer, at a concurrency that is easy.
TIMER_SECONDS = 0.004
# What a leaf may take, in seconds, and how often.
SLOWNESS = (0, 0.001, 0.003, 0.006, 0.012, 0.025, 0.05, 0.1)
OFTEN = (5, 3, 3, 4, 4, 4, 3, 2)


def stretch(concurrency: int) -> float:
    """More workers get slower leaves, not more processor time: the same share of workers is busy."""
    return max(1, concurrency / EASY_CONCURRENCY)


class Pauses:
    """One service's pauses."""

    def __init__(self, chance: random.Random, options: argparse.Namespace):
        self.chance = chance
        self.stretch = stretch(options.concurrency)
        self.uses_timers = options.profile == "timers"

    def take(self) -> None:
        """Before a call: a wait on a timer half of the times, if the profile has them."""
        if self.uses_timers and self.chance.random() < 0.5:
            time.sleep(self.chance.expovariate(1 / (TIMER_SECONDS * self.stretch)))

    def slowness(self) -> float:
        """How long a leaf takes, in seconds."""
        return self.chance.choices(SLOWNESS, OFTEN)[0] * self.stretch
