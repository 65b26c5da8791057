//! Rules about where a leaf's bytes go: paths, hosts, listening elsewhere, two services at one address.

use crate::by_name::ByName;
use crate::codes;
use crate::draft::Draft;
use crate::endpoint::{Endpoint, MAX_SOCKET_PATH_BYTES};
use crate::keys::{self, Availability};
use crate::mistakes::{Mistake, Mistakes};
use crate::names::show;
use crate::text::Span;

/// Directories that every user of the host may write to.
const SHARED_DIRECTORIES: [&str; 5] = ["/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/private/tmp"];

pub(super) fn judge(draft: &Draft, mistakes: &mut Mistakes) {
    for key in ["endpoint", "bind"] {
        if let Some((endpoint, span)) = draft.endpoint(key) {
            socket_path(draft, key, endpoint, span, mistakes);
            port(draft, key, endpoint, span, mistakes);
        }
    }
    plaintext(draft, mistakes);
    bind(draft, mistakes);
}

fn socket_path(draft: &Draft, key: &str, endpoint: &Endpoint, span: Span, mistakes: &mut Mistakes) {
    let Endpoint::Unix(path) = endpoint else {
        return;
    };
    if path.len() > MAX_SOCKET_PATH_BYTES {
        let message = format!(
            "socket path of {} is {} bytes long",
            show(&draft.name),
            path.len()
        );
        mistakes.push(
            Mistake::new(codes::SOCKET_PATH_TOO_LONG, span, message)
                .label(format!("at most {MAX_SOCKET_PATH_BYTES} bytes fit"))
                .help("choose a shorter directory, such as one below /run")
                .of(&draft.name),
        );
        return;
    }
    let directory = path
        .trim_end_matches('/')
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let directory = directory.trim_end_matches('/');
    if SHARED_DIRECTORIES.contains(&directory) {
        let remedy = if key == "endpoint" && draft.kind == keys::Kinds::RELAY {
            "remove `endpoint`: a relay then has a socket in a directory only its user can enter"
        } else {
            "use a directory only this user can enter, such as one below /run/user"
        };
        mistakes.push(
            Mistake::new(
                codes::SHARED_DIRECTORY,
                span,
                format!("socket in the shared directory {directory}"),
            )
            .label("any user of this host can put a socket there first")
            .help(remedy)
            .help("to accept it, write `shared_directory = \"allow\"` below `[lints]`")
            .of(&draft.name),
        );
    }
}

/// Port 0 asks the system for any free one: right where one listens, unreachable where one connects.
fn port(draft: &Draft, key: &str, endpoint: &Endpoint, span: Span, mistakes: &mut Mistakes) {
    let port = match endpoint {
        Endpoint::Tcp { port, .. } | Endpoint::Tls { port, .. } | Endpoint::Nats { port, .. } => {
            *port
        }
        _ => return,
    };
    if port == 0 && key == "endpoint" {
        mistakes.push(
            Mistake::new(
                codes::BAD_ENDPOINT,
                span,
                "`endpoint`: nobody can connect to port 0",
            )
            .label("port 0 stands for any free port")
            .help("write the port that the receiving end listens on; `bind` may have port 0")
            .of(&draft.name),
        );
    }
}

/// Unencrypted TCP leaves this host only by consent.
fn plaintext(draft: &Draft, mistakes: &mut Mistakes) {
    if draft.switch("insecure_plaintext") || draft.is_poisoned("insecure_plaintext") {
        return;
    }
    let far = |key| {
        draft
            .endpoint(key)
            .and_then(|(endpoint, span)| match endpoint {
                Endpoint::Tcp { host, .. } if !endpoint.is_local() => {
                    Some((key, host.clone(), span))
                }
                _ => None,
            })
    };
    let mut places = [far("endpoint"), far("bind")].into_iter().flatten();
    let Some((key, host, span)) = places.next() else {
        return;
    };
    let message = match key {
        "endpoint" => format!(
            "service {} sends unencrypted to another host",
            show(&draft.name)
        ),
        _ => format!(
            "service {} listens unencrypted beyond this host",
            show(&draft.name)
        ),
    };
    let mut mistake = Mistake::new(codes::PLAINTEXT, span, message)
        .label(format!("{} is not this host's loopback", show(&host)))
        .of(&draft.name);
    for (_, _, span) in places {
        mistake = mistake.also(span, "nor is this");
    }
    let tls_is_built = keys::table::SCHEMES
        .iter()
        .any(|scheme| scheme.name == "tls" && scheme.availability != Availability::NotYet);
    if tls_is_built {
        mistake = mistake.help("write `tls://` to encrypt it");
    }
    if key == "endpoint" && matches!(host.as_str(), "0.0.0.0" | "::") {
        mistake = mistake.help(
            "this is an address to listen on: write it in `bind`, and in `endpoint` the one to connect to",
        );
    }
    mistakes.push(
        mistake.help("if the network between the two is trusted, add `insecure_plaintext = true`"),
    );
}

/// `bind` listens where `endpoint` arrives, so both are of one carrier, and it takes one that listens.
fn bind(draft: &Draft, mistakes: &mut Mistakes) {
    let Some((bind, span)) = draft.endpoint("bind") else {
        return;
    };
    if draft.own("bind").is_none() {
        return;
    }
    let mistake =
        |message: String| Mistake::new(codes::BIND_MISMATCH, span, message).of(&draft.name);
    let Some((endpoint, endpoint_span)) = draft.endpoint("endpoint") else {
        if !draft.is_poisoned("endpoint") {
            let message = format!("service {} has `bind` and no `endpoint`", show(&draft.name));
            mistakes.push(
                mistake(message)
                    .label("senders would go to the private socket instead")
                    .help("add the `endpoint` that leads here, or call this one `endpoint`"),
            );
        }
        return;
    };
    if matches!(bind, Endpoint::Inproc(_) | Endpoint::Nats { .. }) {
        let message = format!("nothing listens on {}", show(&bind.to_string()));
        mistakes.push(
            mistake(message)
                .label("has no listening end")
                .help("remove `bind`"),
        );
    } else if bind.scheme() != endpoint.scheme() {
        let message = format!(
            "`bind` listens on {} while `endpoint` connects by {}",
            bind.scheme(),
            endpoint.scheme()
        );
        mistakes.push(
            mistake(message)
                .label(format!("{} listens here", bind.scheme()))
                .also(
                    endpoint_span,
                    format!("{} connects there", endpoint.scheme()),
                )
                .help("write the same scheme in both"),
        );
    }
}

/// Two services at one address would steal each other's messages.
pub(super) fn duplicates(drafts: &[Draft], mistakes: &mut Mistakes) {
    let mut dialed: ByName<(&Draft, Span)> = ByName::default();
    let mut heard: ByName<(&Draft, Span)> = ByName::default();
    for draft in drafts.iter().filter(|draft| draft.is_leaf() && !draft.torn) {
        let Some((endpoint, span)) = draft.endpoint("endpoint") else {
            continue;
        };
        let places = places(endpoint);
        let known = places.iter().find_map(|place| dialed.get(place)).copied();
        match known {
            None => {
                for place in &places {
                    dialed.insert(place, (draft, span));
                }
            }
            Some(other) => {
                one_endpoint(draft, span, other, mistakes);
                continue;
            }
        }
        let (bind, span) = draft.endpoint("bind").unwrap_or((endpoint, span));
        if !matches!(
            bind,
            Endpoint::Tcp { port: 0, .. } | Endpoint::Tls { port: 0, .. }
        ) {
            let places = self::places(bind);
            let known = places.iter().find_map(|place| heard.get(place)).copied();
            match known {
                None => {
                    for place in &places {
                        heard.insert(place, (draft, span));
                    }
                }
                Some(other) => one_listener(draft, span, other, mistakes),
            }
        }
    }
}

fn one_endpoint(draft: &Draft, span: Span, first: (&Draft, Span), mistakes: &mut Mistakes) {
    let message = format!(
        "services {} and {} have one endpoint",
        show(&first.0.name),
        show(&draft.name)
    );
    mistakes.push(
        Mistake::new(codes::DUPLICATE_ENDPOINT, span, message)
            .label("the second of the two")
            .also(first.1, "the first")
            .help(
                "give each an endpoint of its own; for another name of one service, use `aliases`",
            )
            .of(&draft.name),
    );
}

/// Senders go to two places, and both services listen at one. One process serves every relay of a registry, so two relays
/// never can; others can where each listens on a host, or in a container, of its own.
fn one_listener(draft: &Draft, span: Span, first: (&Draft, Span), mistakes: &mut Mistakes) {
    let relays = draft.kind == keys::Kinds::RELAY && first.0.kind == keys::Kinds::RELAY;
    let message = format!(
        "services {} and {} listen at one place",
        show(&first.0.name),
        show(&draft.name)
    );
    let code = match relays {
        true => codes::DUPLICATE_ENDPOINT,
        false => codes::SHARED_BIND,
    };
    let mistake = Mistake::new(code, span, message)
        .label("the second of the two")
        .also(first.1, "the first")
        .help("give each a `bind` of its own")
        .of(&draft.name);
    mistakes.push(match relays {
        true => mistake.note("one process serves every relay of a registry"),
        false => mistake.help(
            "if each has a host or a container of its own, write `shared_bind = \"allow\"` below `[lints]`",
        ),
    });
}

/// An address in the one form that stands for all its spellings; `localhost` has two addresses.
fn places(endpoint: &Endpoint) -> Vec<String> {
    match endpoint {
        Endpoint::Unix(path) => {
            let parts: Vec<&str> = path
                .split('/')
                .filter(|part| !part.is_empty() && *part != ".")
                .collect();
            vec![format!("unix:///{}", parts.join("/"))]
        }
        Endpoint::Tcp { host, port } | Endpoint::Tls { host, port } => {
            // One port is one listener, encrypted or not.
            let host = host.to_ascii_lowercase();
            let hosts = match host.as_str() {
                "localhost" => vec!["127.0.0.1", "::1"],
                host => vec![host],
            };
            let places = hosts.iter().map(|host| format!("tcp://{host}:{port}"));
            places.collect()
        }
        other => vec![other.to_string()],
    }
}
