#!/usr/bin/env python3
"""Does what a new user does, breaks the registry, and writes what the terminal shows into docs/DIAGNOSTICS.md.

    python3 scripts/diagnostics.py
    python3 scripts/diagnostics.py --check    # only compares; exits 1 with the difference
"""

import difflib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

MAIN = """use sink_runtime::{Message, MessageSink};

#[derive(Message)]
#[message(serde)]
pub struct Tick {
    pub price: u64,
}

sink_runtime::include_sinks!();

async fn publish() {
    let _ = Sinks::market_data_relay().send(Tick { price: 1 }).await;
    let _ = Sinks::broadcast_group().send(Tick { price: 1 }).await;
}

fn main() {
    drop(publish());
}
"""

REGISTRY = """[services.market_data_relay]
type = "relay"
message = "crate::Tick"

[services.strategy_a]
type = "direct"
endpoint = "tcp://127.0.0.1:9001"
message = "crate::Tick"

[services.broadcast_group]
type = "composite"
pattern = "fanout"
targets = ["market_data_relay", "strategy_a"]
"""

# What is done, why it is shown, the registry, and the program.
STEPS = [
    ("A target is misspelt", "One error, at the line of `include_sinks!()`, with the caret in the registry and the line that repairs it. "
     "`Sinks::broadcast_group()` is used in the program, and causes no second error.",
     REGISTRY.replace('"market_data_relay", "strategy_a"', '"market_data_rely", "strategy_a"'), MAIN),
    ("Four mistakes at once", "All of them in one build, beside what rustc finds in the rest of the program.",
     REGISTRY.replace("message = \"crate::Tick\"\n\n[services.strategy_a]", "message = \"crate::Tick\"\nbuffer_size = \"10k\"\n\n[services.strategy_a]")
     .replace("tcp://", "tpc://").replace('"fanout"', '"fan-out"') + 'optional = ["strategy_b"]\n',
     MAIN.replace("    drop(publish());", "    let ticks: u64 = \"none\";\n    drop(publish());")),
    ("A composite feeds itself", "A cycle is shown as the path it takes.",
     REGISTRY + '\n[services.all]\ntype = "composite"\npattern = "fanout"\ntargets = ["broadcast_group", "more"]\n\n[services.more]\ntype = "composite"\n'
     'pattern = "failover"\ntargets = ["all", "strategy_a"]\n', MAIN),
    ("The file is no TOML", "Nobody knows which names the file has, so no use of `Sinks` is reported as wrong.",
     REGISTRY.replace('type = "direct"', 'type = "direct'), MAIN),
    ("The message type is misspelt", "rustc reports it, with its own suggestion, in a generated line that says where the registry names it.",
     REGISTRY.replace("crate::Tick", "crate::Tik"), MAIN),
    ("A service that the registry lacks", "The program's own mistake: rustc suggests the name.",
     REGISTRY, MAIN.replace("Sinks::market_data_relay()", "Sinks::market_data_rely()")),
    ("A guarantee that a service does not give", "An adapter asks for at-least-once delivery in its signature; the error names the service and the key to write.",
     REGISTRY, MAIN.replace("async fn publish() {", "fn ledger<S: MessageSink<Tick> + sink_runtime::AtLeastOnce>(_: S) {}\n\nasync fn publish() {\n    ledger(Sinks::broadcast_group());")
     .replace('message = "crate::Tick"', 'message = "crate::Tick"')),
    ("A renamed service", "`aliases = [\"prices\"]` keeps old programs building.",
     REGISTRY.replace('message = "crate::Tick"\n', 'message = "crate::Tick"\naliases = ["prices"]\n', 1), MAIN.replace("Sinks::market_data_relay()", "Sinks::prices()")),
    ("A warning", "One line by the build script; `cargo sinks check` draws it whole, `[lints]` sets its level.",
     REGISTRY.replace('type = "relay"\n', 'type = "relay"\nendpoint = "unix:///tmp/market_data.sock"\n', 1), MAIN),
]


def run(folder, *command):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET / "diagnostics"), "CARGO_TERM_COLOR": "never"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return clean(done.stdout + done.stderr, folder)


def clean(text, folder):
    """Leaves out cargo's counting, and what differs between machines."""
    text = re.sub(r"/\S*/build/market-[0-9a-f]+/out", "target/debug/build/market-…/out", text)
    text = text.replace(str(folder.resolve()), "~/market").replace(str(folder), "~/market").replace(str(ROOT), "~/sinks")
    text = re.sub(r"/\S*/registry/src/[^/\s]+/", "~/.cargo/registry/src/", text)
    text = re.sub(r"/\S*/rustlib/src/rust/", "~/rust/", text)
    # Where a line of ours stands changes with every release, and says nothing here.
    text = re.sub(r"(~/sinks/\S+\.rs):\d+:\d+", r"\1", text)
    text = "\n".join(line for line in text.splitlines() if "full name for the type" not in line and "full type name to the console" not in line and " generated 1 warning" not in line)
    text = unnumbered(text)
    skipped = ("Blocking", "Compiling", "Checking", "Locking", "Finished", "Updating", "Adding", "error: could not compile", "For more information about", "Some errors have")
    text = "\n".join(line.rstrip() for line in text.splitlines() if not line.strip().startswith(skipped)).strip("\n")
    for path in (str(pathlib.Path.home()) + "/", tempfile.gettempdir() + "/tmp", str(ROOT.parent) + "/"):
        if path in text:
            sys.exit(f"a path of this machine would be published: {path} in\n{text}")
    return text


def unnumbered(text):
    """Line numbers of our own sources, as dots: the page shall not change with every edit of the runtime."""
    lines, ours = [], False
    for line in text.splitlines():
        if "-->" in line:
            ours = "~/sinks/" in line
        elif "= note" in line or not line.strip():
            ours = False
        if ours:
            line = re.sub(r"^(\s*)(\d+)( \|)", lambda found: found[1] + "." * len(found[2]) + found[3], line)
        lines.append(line)
    return "\n".join(lines)


def shown(command, output):
    return f"```console\n$ {command}\n{output}\n```\n" if output else f"```console\n$ {command}\n```\n"


def main():
    subprocess.run(["cargo", "build", "--quiet", "--package", "cargo-sinks"], cwd=ROOT, check=True)
    sinks = TARGET / "debug/cargo-sinks"
    pages = [
        "# What mistakes look like\n",
        "Everything here was shown by a terminal: `python3 scripts/diagnostics.py` does what a new user does, in an empty folder, and writes this page. "
        "The words are pinned as tests in `tests/ui` and `tests/registry`.\n",
        "## A new crate\n",
    ]
    with tempfile.TemporaryDirectory() as parent:
        subprocess.run(["cargo", "new", "--quiet", "--vcs", "none", "market"], cwd=parent, check=True)
        folder = pathlib.Path(parent) / "market"
        pages.append(shown("cargo new market && cd market && cargo sinks init", run(folder, sinks, "init", "--path", ROOT)))
        shutil.copy(ROOT / "Cargo.lock", folder / "Cargo.lock")
        pages.append(shown("cargo check", run(folder, "cargo", "check", "--offline")))
        pages.append("Then it has this registry and this program:\n")
        pages.append(f"```toml\n{REGISTRY}```\n\n```rust\n{MAIN}```\n")
        for title, text, registry, program in STEPS:
            (folder / "services.toml").write_text(registry)
            (folder / "src/main.rs").write_text(program)
            pages.append(f"## {title}\n\n{text}\n")
            pages.append(shown("cargo check", run(folder, "cargo", "check", "--offline")))
            if title == "A warning":
                pages.append(shown("cargo sinks check", run(folder, sinks, "check")))
        (folder / "services.toml").write_text(STEPS[0][2])
        pages.append("## Without a compiler run\n\n`cargo sinks check` says the same, in four formats; it exits 1 if there is an error.\n")
        for format in ("human", "short", "github"):
            pages.append(shown(f"cargo sinks check --format {format}", run(folder, sinks, "check", "--format", format)))
        pages.append(shown("cargo sinks explain E0130", run(folder, sinks, "explain", "E0130")))
    page = ROOT / "docs/DIAGNOSTICS.md"
    written = "\n".join(pages)
    if "--check" not in sys.argv[1:]:
        page.write_text(written)
    elif page.read_text() != written:
        sys.stdout.writelines(difflib.unified_diff(page.read_text().splitlines(True), written.splitlines(True), "docs/DIAGNOSTICS.md", "as it is now"))
        sys.exit("docs/DIAGNOSTICS.md is not what the terminal shows: run python3 scripts/diagnostics.py, and read the diff")


if __name__ == "__main__":
    main()
