#!/usr/bin/env python3
"""Chooses window and features for `machine-temperature` without labels: faults are injected into the training part.

  python scripts/train/machine-temperature/choose.py --csv machine_temperature_system_failure.csv

A candidate gains by each kind of fault that it sees, and loses by seeing a stop of four hours: this machine is
stopped now and then, and that is operation, not failure.
"""
import argparse

import numpy as np
import train
from numpy.lib.stride_tricks import sliding_window_view

HOURS = (2, 4, 8, 12, 24)
SETS = (
    ("mean",),
    ("median",),
    ("mean", "last"),
    ("mean", "min", "max"),
    ("median", "q10", "q90"),
    ("std", "range", "slope"),
    ("mean", "std"),
    ("median", "std"),
    ("mean", "last", "min", "std", "range", "slope"),
)
PER_HOUR = 3600 // train.EVERY_S
DAY = 24 * PER_HOUR
FAULTS = {"cold": DAY, "hot": DAY, "drift": 2 * DAY, "stuck": DAY, "restless": DAY}
STOP = 4 * PER_HOUR


def columns(values, hours):
    """Every feature over every full window, by name; spreads as logarithms, as the model takes them."""
    width = hours * PER_HOUR
    windows = sliding_window_view(values, width)
    away = np.arange(width) - (width - 1) / 2
    median, q10, q90 = np.quantile(windows, [0.5, 0.1, 0.9], axis=1)
    return {
        "mean": windows.mean(axis=1),
        "median": median,
        "q10": q10,
        "q90": q90,
        "last": windows[:, -1],
        "min": windows.min(axis=1),
        "max": windows.max(axis=1),
        "std": np.log(windows.std(axis=1) + train.LOG_OFFSET),
        "range": np.log(np.ptp(windows, axis=1) + train.LOG_OFFSET),
        "slope": windows @ away / (away @ away),
    }


def rows_of(values, hours, names):
    found = columns(values, hours)
    return np.stack([found[name] for name in names], axis=1)


def injected(values, kind, at):
    """The series with one fault that begins at `at`, and the readings that the fault lasts."""
    since = np.arange(len(values)) - at
    length = STOP if kind == "stop" else FAULTS[kind]
    on = (since >= 0) & (since < length)
    ramp = np.clip(since / (3 * PER_HOUR), 0, 1)
    change = {
        "cold": -20 * ramp,
        "hot": 15 * ramp,
        "drift": -20 * np.clip(since / (2 * DAY), 0, 1),
        "stuck": values[at] - values,
        "restless": 6 * np.sin(2 * np.pi * since / 8),
        "stop": -30 * np.minimum(np.clip(since / 6, 0, 1), np.clip((length - since) / 12, 0, 1)),
    }[kind]
    return values + np.where(on, change, 0), length


def found_share(values, hours, names, centre, weights, threshold, before, kind):
    """Share of places at which this fault is seen for an hour in all that would not have been alarmed without it."""
    width = hours * PER_HOUR
    hits = []
    for at in range(300, len(values) - 2 * DAY - 24, 97):
        changed, length = injected(values, kind, at)
        # a stop may also be seen while it is still in the window
        until = min(len(values), at + length + (width if kind == "stop" else 0))
        part = rows_of(changed[at - width + 1 : until] if at >= width else changed[:until], hours, names)
        flags = train.distance_of(part, centre, weights) > threshold
        flags = flags[-(until - at) :]
        hits.append(np.sum(flags & ~before[until - len(flags) : until]) >= PER_HOUR)
    return float(np.mean(hits))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--csv", required=True)
    _, values = train.read_series(options.parse_args().csv)
    values = values[: int(train.TRAINING_SHARE * len(values))]
    results = []
    for hours in HOURS:
        for names in SETS:
            rows = rows_of(values, hours, names)
            centre, weights, threshold = train.fit(rows)
            before = np.zeros(len(values), dtype=bool)
            before[len(values) - len(rows) :] = train.distance_of(rows, centre, weights) > threshold
            shares = {
                kind: found_share(values, hours, names, centre, weights, threshold, before, kind)
                for kind in (*FAULTS, "stop")
            }
            gain = np.mean([shares[kind] for kind in FAULTS]) - shares["stop"]
            results.append((gain, hours, names, shares))
    for gain, hours, names, shares in sorted(results, key=lambda result: -result[0]):
        seen = " ".join(f"{kind} {share:.2f}" for kind, share in shares.items())
        print(f"{gain:+.2f}  {hours:2d} h  {', '.join(names):40s} {seen}")


if __name__ == "__main__":
    main()
