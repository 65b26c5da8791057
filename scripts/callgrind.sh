#!/bin/sh
# Instructions per send of each path over a writer that discards: two runs under callgrind, the difference divided by the
# sends between them, so that start and stop do not count. Needs valgrind. Prints `path<TAB>instructions`.
set -eu
cd "$(dirname "$0")/.."
bench=${NULL_WRITER:-$(cargo bench --bench null_writer --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*null_writer[^"]*\)".*/\1/p' | tail -1)}
count() {
    SINKS_BENCH_CALLGRIND="$1" SINKS_BENCH_ROUNDS="$2" valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
for path in "lock, buffer and flusher by hand" "the link alone, behind DynSink" "generated accessor, untyped 256 B" \
    "generated accessor, try_send, untyped 256 B" "generated accessor, typed 256 B of bytes" "generated accessor, typed tick in postcard"; do
    few=$(count "$path" 1)
    many=$(count "$path" 3)
    printf '%s\t%s\n' "$path" "$(((many - few) / 400000))"
done
