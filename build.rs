//! Turns `services.toml` into `Sinks` and `Sources`.

fn main() {
    sink_codegen::Build::new("services.toml").run();
}
