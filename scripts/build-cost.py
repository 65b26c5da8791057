#!/usr/bin/env python3
"""Measures what sinks cost to build, and writes docs/BUILD_COST.md.

CPU seconds are user + system of cargo and everything it starts, so they do not depend on how many cores wait;
wall seconds do. Nothing is downloaded: the repository's Cargo.lock and cargo's cache are used. What is committed is
measured, not what is being edited.

    python3 scripts/build-cost.py [--write] [--rounds N] [--cold-rounds N] [--only generator,tags,edits,cold]

With `--only`, the document keeps the sections that were not measured.
"""

import argparse
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The crates as they are committed, so that nothing changes under a measurement.
SNAPSHOT = pathlib.Path(tempfile.mkdtemp(prefix="sinks-"))

TOKIO = 'tokio = { version = "1", features = ["rt-multi-thread", "macros", "net", "time"] }\n'
SERDE = 'serde = { version = "1", features = ["derive"] }\n'
SINKS = f'sink-runtime = {{ path = "{SNAPSHOT}/sink-runtime" }}\n\n[build-dependencies]\nsink-codegen = {{ path = "{SNAPSHOT}/sink-codegen" }}\n'
BUILD = 'fn main() {\n    sink_codegen::Build::new("services.toml").run();\n}\n'
# What who opens, writes and logs a connection by hand compiles besides.
BY_HAND_TOO = 'tokio = { version = "1", features = ["rt-multi-thread", "macros", "net", "time", "io-util", "sync"] }\ntracing = { version = "0.1", default-features = false, features = ["std"] }\n'
HEAD = """use sink_runtime::{Message, MessageSink};

#[derive(Message)]
#[message(serde)]
pub struct Tick {
    pub price: u64,
}

"""


class Spread:
    """Samples, shown as median (least–most)."""

    def __init__(self, samples):
        self.samples = sorted(samples)
        self.median = statistics.median(samples)

    def __str__(self):
        low, high = self.samples[0], self.samples[-1]
        return f"{self.median:.2f} ({low:.2f}–{high:.2f})" if len(self.samples) > 1 else f"{self.median:.2f}"


def registry(services):
    """Relays and direct services of one message type, every eleventh a fan-out of the two before it."""
    tables = []
    for i in range(services):
        if i % 11 == 10:
            tables.append(f'[services.svc_{i}]\ntype = "composite"\npattern = "fanout"\ntargets = ["svc_{i - 1}", "svc_{i - 2}"]\n')
        elif i % 2:
            tables.append(f'[services.svc_{i}]\ntype = "direct"\nendpoint = "tcp://127.0.0.1:{10000 + i}"\nmessage = "crate::Tick"\n')
        else:
            tables.append(f'[services.svc_{i}]\ntype = "relay"\nmessage = "crate::Tick"\ndelivery = "at_least_once"\n')
    return "\n".join(tables)


def uses(services):
    """Sends through every service, ten to a function."""
    functions = []
    for start in range(0, services, 10):
        calls = "".join(
            f"    let _ = Sinks::svc_{i}().send(Tick {{ price: {i} }}).await;\n" for i in range(start, min(services, start + 10))
        )
        functions.append(f"pub async fn use_{start}() {{\n{calls}}}\n")
    return "\n".join(functions)


class Crate:
    """A crate in a folder of its own, with a target folder of its own."""

    def __init__(self, folder, name, dependencies, source, target=None):
        self.folder = pathlib.Path(folder) / name
        self.target = target or self.folder / "target"
        (self.folder / "src").mkdir(parents=True)
        self.write("Cargo.toml", f'[package]\nname = "app"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n[dependencies]\n{dependencies}')
        self.write("src/lib.rs", source)
        shutil.copy(ROOT / "Cargo.lock", self.folder / "Cargo.lock")

    def write(self, path, text):
        (self.folder / path).write_text(text)

    def cargo(self, *arguments, **environment):
        """Runs cargo; returns CPU and wall seconds."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        run = subprocess.run(
            ["cargo", *arguments, "--offline", "--quiet"],
            cwd=self.folder,
            env={**os.environ, **environment, "CARGO_TARGET_DIR": str(self.target), "RUSTFLAGS": ""},
            capture_output=True,
            text=True,
        )
        wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if run.returncode:
            sys.exit(f"cargo {' '.join(arguments)} in {self.folder} failed:\n{run.stderr}")
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def cold(folder, rounds):
    """CPU seconds of a first build, for crates with and without sinks."""
    results = {}
    cases = {
        "empty": ("", "", None),
        "empty, with sinks": (SINKS, HEAD + "sink_runtime::include_sinks!();\n" + uses(3), 3),
        "tokio and serde": (TOKIO + SERDE, "", None),
        "what a connection by hand takes: also tokio's io-util and sync, tracing": (BY_HAND_TOO + SERDE, "", None),
        "tokio and serde, with sinks": (TOKIO + SERDE + SINKS, HEAD + "sink_runtime::include_sinks!();\n" + uses(3), 3),
    }
    for name, (dependencies, source, services) in cases.items():
        samples = []
        for n in range(rounds):
            crate = Crate(folder, f"cold-{len(results)}-{n}", dependencies, source)
            if services:
                crate.write("build.rs", BUILD)
                crate.write("services.toml", registry(services))
            # Crates of a registry are compiled without: only paths, as here, would be prepared for edits.
            samples.append(crate.cargo("build", CARGO_INCREMENTAL="0")[0])
            shutil.rmtree(crate.target)
        results[name] = Spread(samples)
    return results


def edits(folder, services, target, rounds, used):
    """Wall and CPU seconds of a build that has nothing to do, and after one edit of each file."""
    head = HEAD if used else HEAD.replace("{Message, MessageSink}", "Message")
    crate = Crate(folder, f"edits-{services}-{used}", SINKS, head + "sink_runtime::include_sinks!();\n" + (uses(services) if used else ""), target)
    crate.write("build.rs", BUILD)
    text = registry(services)
    crate.write("services.toml", text)
    crate.cargo("build")
    noop = [crate.cargo("build") for _ in range(rounds * 3)]
    source, comment, value, service = [], [], [], []
    for n in range(rounds):
        crate.write("src/lib.rs", (crate.folder / "src/lib.rs").read_text() + f"pub fn edit_{n}() {{}}\n")
        source.append(crate.cargo("build"))
        crate.write("services.toml", text + f"# edit {n}\n")
        comment.append(crate.cargo("build"))
        middle = text.index(":1", len(text) // 2)
        text = text[:middle] + f":{2 + n % 4}" + text[middle + 2 :]
        crate.write("services.toml", text)
        value.append(crate.cargo("build"))
        text = f'[services.more_{n}]\ntype = "relay"\nmessage = "crate::Tick"\n' + text
        crate.write("services.toml", text)
        service.append(crate.cargo("build"))
    spread = lambda samples, i: Spread([sample[i] for sample in samples])
    return {
        "noop": spread(noop, 0),
        "noop wall": spread(noop, 1),
        "source": spread(source, 0),
        "registry": spread(comment, 0),
        "value": spread(value, 0),
        "service": spread(service, 0),
    }


def generator(folder, services, rounds, target):
    """CPU seconds of text to text: the build script that cargo built, run by hand."""
    crate = Crate(folder, f"generator-{services}", SINKS[SINKS.index("[build") :], "", target)
    crate.write("build.rs", BUILD)
    crate.write("services.toml", registry(services))
    crate.cargo("build")
    # Cargo names the folder of a build script by a hash; the newest is the one just built.
    script = max(target.glob("debug/build/app-*/build-script-build"), key=lambda path: path.stat().st_mtime)
    samples = []
    for n in range(rounds):
        out = crate.folder / f"out-{n}"
        out.mkdir()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([script], check=True, capture_output=True, env={**os.environ, "CARGO_MANIFEST_DIR": str(crate.folder), "OUT_DIR": str(out)})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        samples.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return Spread(samples)


def tags(folder, services, target, rounds, binary):
    """CPU seconds of compiling generated code whose services are all used: a tag each, and one tag for all."""
    results = []
    for shared in (False, True):
        crate = Crate(folder, f"tags-{services}-{shared}", SINKS.split("\n\n")[0] + "\n", HEAD + "mod sinks;\nuse sinks::Sinks;\n" + uses(services), target)
        crate.write("services.toml", registry(services))
        subprocess.run([binary, "generate"], cwd=crate.folder, check=True, capture_output=True)
        path = crate.folder / "src/sinks.rs"
        code = path.read_text()
        if shared:
            tag = r"((?:Relay|Direct|double_relay::|double_direct::)<\s*[\w:]+,\s*(?:__types::)?services::)svc_\d+"
            code, replaced = re.subn(tag, r"\1svc_0", code)
            leaves = services - services // 11
            if replaced != 2 * leaves:
                sys.exit(f"{replaced} tags in types and doubles of {leaves} leaves: the generator prints them otherwise now")
        path.write_text(code)
        crate.cargo("build", CARGO_INCREMENTAL="0")
        samples = []
        for n in range(rounds):
            path.write_text(code + f"\n// {n}\n")
            samples.append(crate.cargo("build", CARGO_INCREMENTAL="0")[0])
        results.append(Spread(samples))
    return results


def cold_section(folder, rounds):
    first = cold(folder, rounds)
    lines = ["## A new crate, first build", "", "`CARGO_INCREMENTAL=0`, as cargo compiles what comes from a registry.", "", "| crate | CPU s | added |", "|---|---|---|"]
    added = lambda base: first["tokio and serde, with sinks" if base != "empty" else "empty, with sinks"].median - first[base].median
    for name in first:
        base = name.removesuffix(", with sinks")
        lines.append(f"| {name} | {first[name]} | {f'**{added(base):.1f}**' if base != name else ''} |")
    by_hand = next(name for name in first if "by hand" in name)
    lines += ["", f"To who would else write the connection by hand, {added(by_hand):.1f} are added."]
    added = added("tokio and serde")
    return lines + ["", f"Target: at most 12 CPU s added to a crate that has tokio and serde already: {verdict(added, 12)}.", ""]


def edits_section(folder, target, rounds):
    lines = [
        "## Every build after it",
        "",
        "CPU seconds, and wall seconds where it says so. The registry is edited in three ways: a comment at its end, an address in its "
        "middle, and a service at its top, which moves all that is generated to other lines.",
        "",
        "| services | nothing to do | wall s | one edit in Rust | a comment in the registry | an address | a service more |",
        "|---|---|---|---|---|---|---|",
    ]
    numbers = {}
    for services in (10, 100, 1000):
        for used in (False, True):
            n = numbers[services, used] = edits(folder, services, target, rounds, used)
            which = "all used" if used else "none used"
            lines.append(f"| {services:,}, {which} | {n['noop']} | {n['noop wall']} | {n['source']} | {n['registry']} | {n['value']} | {n['service']} |")
    return lines + [
        "",
        f"Targets: nothing to do in 0.15 s: {verdict(numbers[10, True]['noop wall'].median, 0.15)} wall, "
        f"{verdict(numbers[10, True]['noop'].median, 0.15)} CPU; 1,000 services in 2 s after an edit of the registry (build script, "
        f"and rustc again over the crate): a comment {verdict(numbers[1000, False]['registry'].median, 2)} if none is used, "
        f"{verdict(numbers[1000, True]['registry'].median, 2)} if all are; an address {verdict(numbers[1000, False]['value'].median, 2)} and "
        f"{verdict(numbers[1000, True]['value'].median, 2)}; a service more {verdict(numbers[1000, False]['service'].median, 2)} and "
        f"{verdict(numbers[1000, True]['service'].median, 2)}.",
        "",
    ]


def generator_section(folder, target, rounds):
    lines = ["## The generator alone", "", "The build script, unoptimised, as cargo builds it; 10,000 services once.", "", "| services | CPU s |", "|---|---|"]
    alone = {services: generator(folder, services, 1 if services > 1000 else rounds * 3, target) for services in (10, 100, 1000, 10000)}
    lines += [f"| {services:,} | {alone[services]} |" for services in alone]
    growth = alone[10000].median / alone[1000].median
    return lines + [
        "",
        f"Ten times the services cost {growth:.1f} times as much: {'linear' if growth < 12 else '**not linear**'}. "
        f"1,000 services in 2 s: {verdict(alone[1000].median, 2)}.",
        "",
    ]


def tags_section(folder, target, rounds, binary):
    lines = [
        "## What a tag per service costs the compiler",
        "",
        "The same generated code, once with a type per service and once with one type for all leaves (which would lose the "
        "guarantee in the type, and its name in errors). One crate, `CARGO_INCREMENTAL=0`, every service used.",
        "",
        "| services | a tag each, CPU s | one tag, CPU s | the tags |",
        "|---|---|---|---|",
    ]
    for services in (10, 110, 1000):
        each, one = tags(folder, services, target, rounds, binary)
        lines.append(f"| {services:,} | {each} | {one} | {each.median - one.median:+.2f} |")
    return lines + [""]


# What follows this heading in the document is written by hand and kept.
BY_HAND = "## What was tried\n"
HEADINGS = {
    "generator": "## The generator alone",
    "tags": "## What a tag per service costs the compiler",
    "edits": "## Every build after it",
    "cold": "## A new crate, first build",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write docs/BUILD_COST.md")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cold-rounds", type=int, default=3, help="first builds take a minute each")
    parser.add_argument("--only", default=",".join(HEADINGS), help="sections to measure, by comma")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    if unknown := set(only) - set(HEADINGS):
        parser.error(f"no section {', '.join(unknown)}: there are {', '.join(HEADINGS)}")
    rounds = arguments.rounds

    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", SNAPSHOT], input=archive, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    subprocess.run(["cargo", "build", "--quiet", "--package", "cargo-sinks"], cwd=ROOT, check=True)
    binary = target / "debug/cargo-sinks"

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        shared = pathlib.Path(folder) / "shared-target"
        sections = {
            "generator": lambda: generator_section(folder, shared, rounds),
            "tags": lambda: tags_section(folder, shared, rounds, binary),
            "edits": lambda: edits_section(folder, shared, rounds),
            "cold": lambda: cold_section(folder, arguments.cold_rounds),
        }
        for name in [name for name in sections if name in only]:
            load = os.getloadavg()[0]
            heading, *body = sections[name]()
            samples = arguments.cold_rounds if name == "cold" else rounds
            body = [heading, "", f"{samples} rounds; load {load:.0f} before, {os.getloadavg()[0]:.0f} after.", *body]
            measured[name] = "\n".join(body) + "\n"
            print(measured[name], file=sys.stderr, flush=True)
    path = ROOT / "docs/BUILD_COST.md"
    text = document(path.read_text() if path.exists() else "", measured, rustc)
    print(text)
    if arguments.write:
        path.write_text(text)


def document(old, measured, rustc):
    """The head, a section for each heading, and what is written by hand; what was not measured stays as it is in the old one."""
    marks = [mark for mark in [*HEADINGS.values(), BY_HAND.strip()] if mark in old]
    starts = sorted(old.index(mark) for mark in marks)
    kept = {old[start:].splitlines()[0]: old[start:end] for start, end in zip(starts, [*starts[1:], len(old)])}
    head = (
        f"# What sinks cost to build\n\nMeasured by `python3 scripts/build-cost.py --write` ({rustc}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.machine()}, dev profile): medians, with the least and the most. CPU is user + system of cargo and "
        "everything it starts. Each section says how loaded the machine was: wall seconds of a busy machine are too long, and CPU seconds somewhat.\n\n"
    )
    sections = [measured.get(name) or kept.get(heading, "") for name, heading in HEADINGS.items()]
    return head + "".join(sections) + kept.get(BY_HAND.strip(), "")


def verdict(value, target):
    return f"{value:.2f}, {'met' if value <= target else '**missed**'}"


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(SNAPSHOT, ignore_errors=True)
