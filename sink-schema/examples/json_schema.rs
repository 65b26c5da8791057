//! Prints the JSON Schema of a registry: `cargo run -p sink-schema --example json_schema`.

fn main() {
    print!("{}", sink_schema::json_schema());
}
