//! Prints what the validator says of a file: `cargo run -p sink-schema --example judge -- services.toml`.

use sink_schema::{Color, Format, Layers, SourceFile, load};

fn main() {
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let base = SourceFile::new(path, text);
        let started = std::time::Instant::now();
        let (plan, mistakes) = load(&Layers::of(&base));
        let took = started.elapsed();
        print!("{}", mistakes.render(Format::Human, Color::Never));
        println!(
            "{} services, {} broken, {}, {took:?}",
            plan.services.len(),
            plan.broken.len(),
            mistakes.summary()
        );
    }
}
