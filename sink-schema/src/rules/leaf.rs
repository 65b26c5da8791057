//! Rules between the keys of one relay or direct service.

use crate::codes;
use crate::draft::{Draft, Given};
use crate::endpoint::Endpoint;
use crate::keys::Kinds;
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::text::Span;
use crate::values::Typed;

/// Judges the keys of one service. What is wrong about them poisons them: rules that come after do not lean on it.
pub(super) fn judge(draft: &mut Draft, mistakes: &mut Mistakes) {
    let wrong = [codec(draft, mistakes), framing(draft, mistakes)];
    draft.poisoned.extend(wrong.into_iter().flatten().flatten());
    acks(draft, mistakes);
    drops(draft, mistakes);
    frame_sizes(draft, mistakes);
    levels(draft, mistakes);
    spool(draft, mistakes);
    times(draft, mistakes);
    attempts(draft, mistakes);
}

/// The place of a value, where the story of a mistake leads to.
fn place(draft: &Draft, key: &str) -> Span {
    draft
        .get(key)
        .map_or(draft.name_span, |given| given.value_span)
}

/// A codec encodes a type, and only `raw` needs none. Returns the keys that one mistake leaves in doubt.
fn codec(draft: &Draft, mistakes: &mut Mistakes) -> Option<&'static [&'static str]> {
    const IN_DOUBT: &[&str] = &["codec", "message"];
    if draft.is_poisoned("message") {
        return None;
    }
    let message = draft.get("message");
    let codec = draft.get("codec")?;
    let Typed::Choice(word) = codec.typed else {
        return None;
    };
    if word == "raw" && message.is_some() {
        let text = draft.text("message").unwrap_or_default();
        mistakes.push(
            Mistake::new(
                codes::CODEC_MISMATCH,
                codec.value_span,
                "codec `raw` carries untyped messages only",
            )
            .label("cannot encode a type")
            .also(place(draft, "message"), format!("{} is a type", show(text)))
            .help("remove `codec`, or remove `message`")
            .of(&draft.name),
        );
        return Some(IN_DOUBT);
    }
    if word != "raw" && message.is_none() && !codec.inherited {
        mistakes.push(
            Mistake::new(
                codes::CODEC_MISMATCH,
                codec.value_span,
                format!("codec `{word}` has no type to encode"),
            )
            .label("needs `message`")
            .help("add `message = \"crate::…\"`, or remove `codec` to carry bytes as they are")
            .of(&draft.name),
        );
        return Some(IN_DOUBT);
    }
    None
}

pub(super) fn foreign(draft: &Draft) -> Option<&'static str> {
    let known = !draft.is_poisoned("framing");
    draft
        .word("framing")
        .filter(|framing| known && *framing != "sink")
}

/// Foreign framings are for peers that are not ours: no relay, nothing inside this process, no binary lines.
/// Returns the key if it is what is wrong.
fn framing(draft: &Draft, mistakes: &mut Mistakes) -> Option<&'static [&'static str]> {
    const IN_DOUBT: &[&str] = &["framing"];
    let word = foreign(draft)?;
    let span = place(draft, "framing");
    let mistake =
        |message: String| Mistake::new(codes::FRAMING_MISMATCH, span, message).of(&draft.name);
    if draft.kind == Kinds::RELAY {
        let may_be_direct = draft.get("endpoint").is_some() && !draft.at_least_once();
        mistakes.push(
            mistake(format!("a relay speaks our own framing, not `{word}`"))
                .label("no relay understands it")
                .also(place(draft, "type"), "a relay")
                .help(match may_be_direct {
                    true => "write `type = \"direct\"`, or remove `framing`",
                    false => "remove `framing`",
                }),
        );
    } else if let Some((Endpoint::Inproc(_), endpoint)) = draft.endpoint("endpoint") {
        mistakes.push(
            mistake(format!(
                "nothing is framed inside one process, so `{word}` means nothing"
            ))
            .label("has no bytes to cut")
            .also(endpoint, "stays in this process")
            .help("remove `framing`"),
        );
    } else if word == "lines" && draft.codec() == Some("postcard") {
        mistakes.push(
            mistake(
                "framing `lines` cannot carry codec `postcard`, whose bytes may be line breaks"
                    .to_owned(),
            )
            .label("cut at every line break")
            .help("write `codec = \"json\"`, or `framing = \"u32be\"`"),
        );
        return None;
    } else {
        return None;
    }
    Some(IN_DOUBT)
}

/// At least once needs somebody to say that it arrived.
fn acks(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(word) = foreign(draft).filter(|_| draft.at_least_once()) else {
        return;
    };
    mistakes.push(
        Mistake::new(
            codes::NO_ACKS,
            place(draft, "delivery"),
            "at-least-once needs acks, and a foreign framing has none",
        )
        .label("needs acks")
        .also(place(draft, "framing"), format!("`{word}` has none"))
        .help("write `framing = \"sink\"`, or `delivery = \"at_most_once\"`")
        .of(&draft.name),
    );
}

/// A message that must arrive is not dropped for want of room or time.
fn drops(draft: &Draft, mistakes: &mut Mistakes) {
    if !draft.at_least_once() {
        return;
    }
    let mut tell = |given: &Given, what: &str, help: &str| {
        mistakes.push(
            Mistake::new(
                codes::DROPS_UNDER_AT_LEAST_ONCE,
                given.value_span,
                format!("{what} drops messages that are promised at least once"),
            )
            .label("drops messages")
            .also(place(draft, "delivery"), "promises them")
            .help(help)
            .of(&draft.name),
        );
    };
    for key in ["when_full", "on_disk_full"] {
        if let Some(given) = draft.get(key)
            && let Typed::Choice(word @ ("drop_newest" | "drop_oldest")) = given.typed
        {
            tell(
                given,
                &format!("`{key} = \"{word}\"`"),
                &format!("write `{key} = \"block\"` or `\"reject\"`"),
            );
        }
    }
    if let Some(given) = draft.get("max_age_ms")
        && matches!(given.typed, Typed::Millis(Some(_)))
    {
        tell(
            given,
            "`max_age_ms`",
            "remove it, or write `max_age_ms = \"never\"`",
        );
    }
}

/// One frame fits into whatever must hold it.
fn frame_sizes(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(Typed::Number(frame)) = draft.get("max_frame_bytes").map(|given| &given.typed) else {
        return;
    };
    for (key, what) in [
        ("buffer_bytes", "the buffer"),
        ("retain_bytes", "the relay's retention"),
    ] {
        if key == "retain_bytes" && draft.kind != Kinds::RELAY {
            continue;
        }
        let Some(room) = draft.number(key).filter(|room| room < frame) else {
            continue;
        };
        let mut mistake = Mistake::new(
            codes::FRAME_OVER_BUFFER,
            place(draft, "max_frame_bytes"),
            format!("`max_frame_bytes` of {frame} is more than {what} holds"),
        )
        .label(format!("a message may have {frame} bytes"))
        .of(&draft.name);
        mistake = match draft.get(key) {
            Some(given) => mistake.also(given.value_span, format!("{what} holds {room}")),
            None => mistake.note(format!("`{key}` is {room} when it is not written")),
        };
        mistakes.push(mistake.help(format!(
            "write `{key} = {frame}` or more, or a smaller `max_frame_bytes`"
        )));
        return;
    }
}

/// A level that nothing on this way can reach is never waited for.
fn levels(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(Typed::Choice(level)) = draft.get("confirm").map(|given| given.typed.clone()) else {
        return;
    };
    let mistake = |message: String| {
        Mistake::new(codes::LEVEL_OUT_OF_REACH, place(draft, "confirm"), message)
            .label("never reached")
            .of(&draft.name)
    };
    if let Some(word) = foreign(draft).filter(|_| matches!(level, "acked" | "stored")) {
        mistakes.push(
            mistake(format!("nobody confirms `{level}` over a foreign framing"))
                .also(place(draft, "framing"), format!("`{word}` has no acks"))
                .help("write `confirm = \"written\"`, or `framing = \"sink\"`"),
        );
        return;
    }
    if level != "stored"
        || matches!(
            draft.endpoint("endpoint"),
            Some((Endpoint::Nats { .. } | Endpoint::Other { .. }, _))
        )
    {
        return;
    }
    let always = matches!(
        draft.get("sync").map(|given| &given.typed),
        Some(Typed::Sync(crate::plan::SyncMode::Always))
    );
    if draft.kind == Kinds::DIRECT {
        mistakes.push(
            mistake("a direct service stores nothing at the other end".to_owned())
                .also(place(draft, "type"), "direct")
                .help("write `confirm = \"acked\"`"),
        );
    } else if draft.kind == Kinds::RELAY
        && !(draft.at_least_once() && always)
        && !draft.is_poisoned("sync")
    {
        mistakes.push(
            mistake("a relay stores only what is at-least-once and synced always".to_owned())
                .help("add `delivery = \"at_least_once\"` and `sync = \"always\"`, or write `confirm = \"acked\"`"),
        );
    }
}

/// Whatever goes to disk needs a directory, and whatever speaks of the disk needs something that goes there.
fn spool(draft: &Draft, mistakes: &mut Mistakes) {
    let spills = draft.word("when_full") == Some("spill");
    let spools = draft.word("confirm") == Some("spooled");
    let unsure = draft.is_poisoned("when_full") || draft.is_poisoned("confirm");
    if (spills || spools) && draft.get("spool_dir").is_none() && !draft.is_poisoned("spool_dir") {
        let key = if spills { "when_full" } else { "confirm" };
        mistakes.push(
            Mistake::new(
                codes::SPILL_WITHOUT_DIRECTORY,
                place(draft, key),
                format!(
                    "service {} writes to disk and has no directory",
                    show(&draft.name)
                ),
            )
            .label("needs `spool_dir`")
            .help("add `spool_dir = \"/var/lib/…\"`")
            .of(&draft.name),
        );
    }
    if spills || spools || unsure {
        return;
    }
    let retains = draft.kind == Kinds::RELAY && draft.at_least_once();
    for key in ["spool_dir", "spool_bytes", "on_disk_full", "sync"] {
        let Some(given) = draft.own(key).filter(|_| !(key == "sync" && retains)) else {
            continue;
        };
        mistakes.push(
            Mistake::new(
                codes::NO_EFFECT,
                given.key_span,
                format!("`{key}` has no effect: nothing goes to disk"),
            )
            .label("nothing is spooled")
            .help("add `when_full = \"spill\"` or `confirm = \"spooled\"`, or remove it")
            .of(&draft.name),
        );
    }
}

/// Whether a send waits for anything: for room, or for a level.
fn sends_wait(draft: &Draft) -> bool {
    let refuses = matches!(
        draft.word("when_full"),
        Some("reject" | "drop_newest" | "drop_oldest")
    );
    !refuses || draft.get("confirm").is_some()
}

/// Times that belong together stand in the right order.
fn times(draft: &Draft, mistakes: &mut Mistakes) {
    let written = |a: &str, b: &str| draft.get(a).is_some() || draft.get(b).is_some();
    if let Some((first, longest)) = draft
        .number("reconnect_delay_ms")
        .zip(draft.number("reconnect_max_delay_ms"))
        && first > longest
        && written("reconnect_delay_ms", "reconnect_max_delay_ms")
    {
        let (key, other) = match draft.get("reconnect_delay_ms") {
            Some(_) => ("reconnect_delay_ms", "reconnect_max_delay_ms"),
            None => ("reconnect_max_delay_ms", "reconnect_delay_ms"),
        };
        let message = format!(
            "the first reconnect delay ({first} ms) is longer than the longest ({longest} ms)"
        );
        let mut mistake = Mistake::new(codes::DELAYS_REVERSED, place(draft, key), message)
            .label(if key == "reconnect_delay_ms" {
                "the first"
            } else {
                "the longest"
            })
            .of(&draft.name);
        mistake = match draft.get(other) {
            Some(given) => mistake.also(given.value_span, "the longest"),
            None => mistake.note(format!(
                "`{other}` is {} when it is not written",
                draft.number(other).unwrap_or_default()
            )),
        };
        mistakes.push(mistake.help(format!("write `reconnect_max_delay_ms = {first}` or more")));
    }
    if let Some((send, connect)) = draft
        .number("send_timeout_ms")
        .zip(draft.number("connect_timeout_ms"))
        && send < connect
        && sends_wait(draft)
        && written("send_timeout_ms", "connect_timeout_ms")
    {
        let key = if draft.get("send_timeout_ms").is_some() {
            "send_timeout_ms"
        } else {
            "connect_timeout_ms"
        };
        let message = format!(
            "a send gives up after {send} ms, before one attempt to connect ends ({connect} ms)"
        );
        let mut mistake = Mistake::new(codes::SHORT_SEND_TIMEOUT, place(draft, key), message)
            .label("the shorter of the two waits for the longer")
            .help(format!(
                "write `send_timeout_ms = {connect}` or more, or a shorter `connect_timeout_ms`"
            ))
            .of(&draft.name);
        if key == "send_timeout_ms" && draft.get("connect_timeout_ms").is_none() {
            mistake = mistake.note(format!(
                "`connect_timeout_ms` is {connect} when it is not written"
            ));
        }
        if key == "connect_timeout_ms" {
            mistake = mistake.note(format!(
                "`send_timeout_ms` is {send} when it is not written"
            ));
        }
        mistakes.push(mistake);
    }
}

/// A link that gives up breaks the promise of at least once.
fn attempts(draft: &Draft, mistakes: &mut Mistakes) {
    let Some(given) = draft.get("max_attempts").filter(|_| draft.at_least_once()) else {
        return;
    };
    mistakes.push(
        Mistake::new(
            codes::ATTEMPTS_END_DELIVERY,
            given.value_span,
            "at-least-once delivery ends when the attempts are used up",
        )
        .label("after these, messages are given up")
        .also(place(draft, "delivery"), "promises them")
        .help("remove `max_attempts`")
        .of(&draft.name),
    );
}
