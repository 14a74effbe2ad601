# SPDX-License-Identifier: BSD-2-Clause
"""The command line of iomux-bench(1), and what it writes."""
import argparse
import json
import os
import sys

from iomux_bench import advice, bench, live, plan, report, state, summary, talk
from iomux_bench.process import Failure

INTERRUPTED = 130


def numbers(text):
    """Counts, with commas between them."""
    try:
        made = sorted({int(word) for word in text.split(",")})
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers") from e
    if made[0] < 1:
        raise argparse.ArgumentTypeError("connections are at least 1")
    return made


def names(text):
    return [word for word in text.split(",") if word]


def workloads(text):
    known = [w.name for w in plan.WORKLOADS]
    for name in names(text):
        if name not in known:
            raise argparse.ArgumentTypeError(f"no workload '{name}'; there are: {' '.join(known)}")
    return names(text)


def positive(kind):
    def read(text):
        try:
            value = kind(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(f"'{text}' is no number") from e
        if not 0 < value < 1e9:
            raise argparse.ArgumentTypeError("it must be more than 0")
        return value
    return read


def parser(version):
    p = argparse.ArgumentParser(prog="iomux-bench", description="Measures every I/O model of iomuxd on this machine.",
                                epilog="iomux-bench(1) says how it measures and how to read it.", allow_abbrev=False)
    p.add_argument("-q", "--quick", action="store_true", help="the most telling part, in at most 2 minutes (all: 30)")
    p.add_argument("-o", "--output", metavar="NAME", default="iomux-bench",
                   help="write NAME.html and NAME.json (%(default)s)")
    p.add_argument("-m", "--models", type=names, metavar="LIST", help="these models only, with commas between them")
    p.add_argument("-w", "--workloads", type=workloads, metavar="LIST",
                   help="these only, of: " + " ".join(w.name for w in plan.WORKLOADS))
    p.add_argument("-c", "--connections", type=numbers, metavar="LIST", help="these counts only (1,10,100,1000,10000)")
    p.add_argument("--most", type=positive(int), metavar="N", default=1 << 30, help="never more connections than that")
    p.add_argument("--rounds", type=positive(int), metavar="N", help="at most so many rounds (5; quick: 2)")
    p.add_argument("--limit", type=positive(float), metavar="SECONDS", help="end in this time (1750; quick: 110)")
    p.add_argument("-r", "--resume", action="store_true", help="go on with a run that was stopped")
    p.add_argument("-n", "--dry-run", action="store_true", help="say what would be measured, and measure nothing")
    p.add_argument("--no-floor", action="store_true", help="leave the bare floor out")
    p.add_argument("--report", metavar="FILE", help="write the report of a FILE.json, or of a run that was stopped")
    p.add_argument("--live", metavar="WHERE", nargs="?", const="", help="compare the pools of a running daemon, by its control "
                   "socket or the URL of its statistics")
    p.add_argument("--pools", type=names, metavar="A,B", help="with --live: these two")
    p.add_argument("-d", "--duration", type=positive(float), metavar="SECONDS", default=30.0,
                   help=f"with --live: how long (30; at least {live.LEAST_S})")
    p.add_argument("--json", metavar="FILE", help="with --live: write the figures there too; - is standard output")
    p.add_argument("--iomuxd", metavar="PROGRAM", help="the daemon (beside this program, or where it is installed)")
    p.add_argument("--load", metavar="PROGRAM", help="iomux-load, likewise")
    p.add_argument("--folder", metavar="FOLDER", help="where the files that are served are made ($TMPDIR or /tmp)")
    p.add_argument("-V", "--version", action="version", version=f"iomux-bench {version}")
    return p


def check(p, options):
    """What does not go together."""
    if options.live is None:
        for name, given in (("--pools", options.pools), ("--json", options.json)):
            if given:
                p.error(f"{name} is for --live")
    elif options.quick or options.resume or options.report:
        p.error("--live goes with none of --quick, --resume and --report")
    if options.pools and len(options.pools) != 2:
        p.error("--pools takes two, as in --pools main,trial")
    if options.live is not None and options.duration < live.LEAST_S:
        p.error(f"--duration is at least {live.LEAST_S} seconds")


def write_whole(path, text):
    """All of it or nothing: a report that was there stays until the new one is complete."""
    try:
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)
    except OSError as e:
        raise Failure(f"{path}: {e.strerror}") from e


def write_report(name, document):
    write_whole(name + ".json", bench.text_of(document))
    write_whole(name + ".html", report.page(document))


def describe(run):
    """--dry-run"""
    for m in run.models:
        print(f"{m['model']:<12} {'is measured' if m['measured'] else 'is not: ' + m['why']}")
    if not run.programs["floor"]:
        print("floor        is not measured")
    for said in advice.not_done({"left_out": run.left_out, "options": {"cells": []}, "cells": {}}):
        print(said)
    print()
    for cell in run.cells:
        print(f"{plan.cell_name(cell):<24} {cell.seconds:g} s for each server"
              f"{', in the first round only' if cell.once else ''}")
    steps, clock = run.steps(), plan.Clock()
    guess = clock.rest([cell for _, cell, _ in steps])
    print(f"\n{len(steps)} steps in {run.rounds} round{'s' * (run.rounds > 1)}, about {bench.minutes(guess)}; "
          f"it ends after {bench.minutes(run.limit_s)}")


def measure(options):
    """A run, new or gone on with."""
    run = bench.Run(options, bench.programs_of(options))
    if options.dry_run:
        describe(run)
        return 0
    if not run.names:
        raise Failure("no model can be measured")
    path, progress = options.output + ".state", bench.Progress()
    stop = bench.Stop()
    kept = state.State(path, run.header(), options.resume)
    print(f"iomux-bench: {len(run.names)} models, {len(run.cells)} cells, at most {bench.minutes(run.limit_s)}; "
          "Ctrl-C stops it, --resume goes on", file=sys.stderr)
    try:
        whole = run.go(kept, progress, stop)
    except KeyboardInterrupt:
        kept.close()
        progress.clear()
        print(f"iomux-bench: stopped after {len(kept.steps)} steps, which are kept in {path}; go on with --resume, or see "
              f"what there is with --report {path}", file=sys.stderr)
        return INTERRUPTED
    except (Failure, OSError):
        progress.clear()
        if not kept.steps:              # nothing to go on with
            kept.remove()
        raise
    progress.clear()
    document = bench.document(kept.header, kept.steps, whole)
    write_report(options.output, document)
    kept.remove()
    sys.stdout.write(summary.text(document))
    print(f"\n{options.output}.html is the report, {options.output}.json has every figure.")
    return 0


def again(options):
    """--report"""
    if options.report.endswith(".state"):
        header, steps, _ = state.read(options.report)
        document = bench.document(header, steps, False)
    else:
        try:
            with open(options.report, encoding="utf-8") as f:
                document = json.load(f)
            document["cells"], document["steps"], document["models"]        # pylint: disable=pointless-statement
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise Failure(f"{options.report}: {e if isinstance(e, OSError) else 'no figures of iomux-bench'}") from e
    write_report(options.output, document)
    sys.stdout.write(summary.text(document))
    return 0


def main(version, libexec):
    p = parser(version)
    options = p.parse_args()
    options.libexec = libexec
    check(p, options)
    try:
        if options.live is not None:
            return live.run(options)
        return again(options) if options.report else measure(options)
    except (Failure, talk.Unreached) as e:
        print(f"iomux-bench: {e}", file=sys.stderr)
        return 1
    except BrokenPipeError:         # nobody reads the summary any more; the report is written by then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as e:
        print(f"iomux-bench: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
