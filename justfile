# What CI runs, and what is run by hand beside it.

# The README's test command.
test:
    cargo test --workspace

# What CI runs, in its order.
ci:
    bash .ci/run

fmt:
    cargo fmt --all --check

lint:
    cargo clippy --workspace --all-targets -- -D warnings

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, sources and duplicates of the dependency tree; needs cargo-deny.
deny:
    cargo deny check

# Rewrites every expected text: read the diff before you commit it.
update:
    UPDATE=1 cargo test --workspace

bench:
    cargo bench

# The sink beside ZeroMQ, gRPC and core NATS, in a crate of their own; needs libzmq3-dev, pkg-config and nats-server.
bench-peers:
    cargo run --release --manifest-path bench-peers/Cargo.toml

# Writes docs/PERFORMANCE.md with its plots; `--peers` measures the peers too.
bench-report:
    python3 scripts/bench-report

# Writes docs/DIAGNOSTICS.md from a real terminal; `--check` compares.
diagnostics *ARGS:
    python3 scripts/diagnostics.py {{ARGS}}

# What a fresh clone costs to build, at 10 to 1,000 services.
build-cost:
    python3 scripts/build-cost.py --write

# The real link under a scheduler that tries one order of events after another; SINKS_SCHEDULES sets how many each test tries.
shuttle:
    RUSTFLAGS="--cfg shuttle" cargo test --release --target-dir target/shuttle -p sink-runtime --lib schedules::

# The long campaigns: thousands of seeds, fuzzing, many rounds.
nightly:
    bash scripts/nightly
