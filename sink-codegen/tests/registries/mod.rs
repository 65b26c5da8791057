//! Valid registries by seed: names, kinds, keys and nesting of every sort that this version builds.

use std::fmt::Write;

/// SplitMix64: the same registry for a seed on every machine, for ever.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.roll() % n as u64).expect("a remainder of usize fits")
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const NAMESAKES: [&str; 9] = [
    "tick", "order", "message", "local", "sinks", "sink_set", "option", "string", "default",
];

/// A service that composites may target.
struct Made {
    name: String,
    message: Option<&'static str>,
    in_failover: bool,
}

/// The text of a valid registry.
pub(crate) fn registry(seed: u64) -> String {
    let mut dice = Dice(seed);
    let mut out = format!("# seed {seed}\n");
    let mut made: Vec<Made> = Vec::new();
    for i in 0..dice.below(12) + 1 {
        leaf(&mut dice, &mut out, &mut made, i);
    }
    for i in 0..dice.below(5) {
        composite(&mut dice, &mut out, &mut made, i);
    }
    out
}

fn leaf(dice: &mut Dice, out: &mut String, made: &mut Vec<Made>, i: usize) {
    let stem = dice.one(&[
        "ticks",
        "orders-eu",
        "größe",
        "r2d2",
        "Audit",
        "book",
        "日本",
        "type",
        "x",
    ]);
    let name = match stem {
        "type" if i == 0 => "type".to_owned(),
        // Whose types have the names of messages, of what is imported beside them, of generated code's own and of the prelude.
        "x" => NAMESAKES
            .get(i)
            .map_or_else(|| format!("x_{i}"), |name| (*name).to_owned()),
        stem => format!("{stem}_{i}"),
    };
    let key = if name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && dice.chance(70)
    {
        name.clone()
    } else {
        format!("\"{name}\"")
    };
    let message = dice
        .chance(50)
        .then(|| dice.one(&["crate::Tick", "crate::nested::Order"]));
    let at_least_once = dice.chance(30);
    let _ = writeln!(out, "[services.{key}]");
    let mut connects = true;
    if dice.chance(50) {
        let _ = writeln!(out, "type = \"relay\"");
        if dice.chance(60) {
            let _ = writeln!(out, "endpoint = \"unix:///run/sinks-test/{i}.sock\"");
        }
        if dice.chance(20) {
            let _ = writeln!(out, "retain = {}", dice.below(100_000) + 1);
        }
    } else {
        let endpoint = match dice.below(3) {
            0 => format!("unix:///run/sinks-test/{i}.sock"),
            1 => format!("tcp://127.0.0.1:{}", 9_000 + i),
            _ => format!("inproc://inner-{i}"),
        };
        connects = !endpoint.starts_with("inproc");
        let _ = writeln!(out, "type = \"direct\"\nendpoint = \"{endpoint}\"");
    }
    if let Some(message) = message {
        let _ = writeln!(out, "message = \"{message}\"");
    }
    if at_least_once {
        let _ = writeln!(out, "delivery = \"at_least_once\"");
    }
    let policies: &[&str] = if at_least_once {
        &["block", "reject"]
    } else {
        &["block", "reject", "drop_newest", "drop_oldest"]
    };
    if dice.chance(40) {
        let _ = writeln!(out, "when_full = \"{}\"", dice.one(policies));
    }
    if dice.chance(30) {
        let doc = dice.one(&[
            "All trades.",
            "a `code` span",
            "*/ }} fn x() {{}} \\\"#",
            "two\\nlines",
            "<b>&amp;</b> [x](y)",
        ]);
        let _ = writeln!(out, "doc = \"{doc}\"");
    }
    if dice.chance(20) {
        let _ = writeln!(out, "buffer_size = {}", dice.below(50_000) + 1);
    }
    if dice.chance(20) && connects {
        let _ = writeln!(out, "reconnect_delay_ms = {}", dice.below(900) + 1);
    }
    if dice.chance(15) {
        let _ = writeln!(out, "aliases = [\"old_name_{i}\"]");
    }
    let runtime = dice.chance(10);
    if runtime {
        let _ = writeln!(out, "runtime = true");
    } else {
        made.push(Made {
            name,
            message,
            in_failover: true,
        });
    }
}

fn composite(dice: &mut Dice, out: &mut String, made: &mut Vec<Made>, i: usize) {
    let message = dice.one(&[None, Some("crate::Tick"), Some("crate::nested::Order")].each_ref());
    let failover = dice.chance(40);
    let mut targets: Vec<String> = made
        .iter()
        .filter(|made| made.message == *message && (made.in_failover || !failover))
        .map(|made| made.name.clone())
        .collect();
    while targets.len() > 8 {
        targets.remove(dice.below(targets.len()));
    }
    if targets.is_empty() || (failover && targets.len() < 2) {
        return;
    }
    let list = targets
        .iter()
        .map(|target| format!("{target:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let pattern = if failover { "failover" } else { "fanout" };
    let name = format!("group_{i}");
    let _ = writeln!(
        out,
        "[services.{name}]\ntype = \"composite\"\npattern = \"{pattern}\"\ntargets = [{list}]"
    );
    if !failover && targets.len() > 1 && dice.chance(40) {
        let _ = writeln!(out, "optional = [{:?}]", targets[dice.below(targets.len())]);
    }
    made.push(Made {
        name,
        message: *message,
        in_failover: true,
    });
}
