//! Addresses on the wire, as text and as parts. Decides form only: whether an address is wise is for the rules.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `unix:///absolute/path`.
    Unix(String),
    /// A relay that names no endpoint: the service's private socket, whose directory the runtime finds.
    UnixDefault(String),
    /// `tcp://host:port`.
    Tcp {
        /// Name or address; an IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// `tls://host:port`.
    Tls {
        /// Name or address; an IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// `inproc://name`.
    Inproc(String),
    /// `nats://host:port/subject`.
    Nats {
        /// Name or address; an IPv6 address without brackets.
        host: String,
        /// Port.
        port: u16,
        /// Subject.
        subject: String,
    },
    /// An address of a carrier that this crate does not know.
    Other {
        /// Scheme, in lower case.
        scheme: String,
        /// All after `://`.
        rest: String,
    },
}

/// Schemes that the registry language itself knows.
pub(crate) const SCHEMES: [&str; 5] = ["unix", "tcp", "tls", "inproc", "nats"];

/// Longest socket path the kernel takes (`sun_path` less its terminator).
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

impl Endpoint {
    /// The scheme, as a carrier is looked up by it.
    pub fn scheme(&self) -> &str {
        match self {
            Endpoint::Unix(_) | Endpoint::UnixDefault(_) => "unix",
            Endpoint::Tcp { .. } => "tcp",
            Endpoint::Tls { .. } => "tls",
            Endpoint::Inproc(_) => "inproc",
            Endpoint::Nats { .. } => "nats",
            Endpoint::Other { scheme, .. } => scheme,
        }
    }

    /// Whether bytes stay on this host: true for sockets, this process, and loopback addresses.
    pub fn is_local(&self) -> bool {
        match self {
            Endpoint::Unix(_) | Endpoint::UnixDefault(_) | Endpoint::Inproc(_) => true,
            Endpoint::Tcp { host, .. }
            | Endpoint::Tls { host, .. }
            | Endpoint::Nats { host, .. } => is_loopback(host),
            Endpoint::Other { .. } => false,
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{path}"),
            Endpoint::UnixDefault(name) => write!(f, "unix (private socket of {name})"),
            Endpoint::Tcp { host, port } => write!(f, "tcp://{}:{port}", Host(host)),
            Endpoint::Tls { host, port } => write!(f, "tls://{}:{port}", Host(host)),
            Endpoint::Inproc(name) => write!(f, "inproc://{name}"),
            Endpoint::Nats {
                host,
                port,
                subject,
            } => write!(f, "nats://{}:{port}/{subject}", Host(host)),
            Endpoint::Other { scheme, rest } => write!(f, "{scheme}://{rest}"),
        }
    }
}

struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

/// Why a text is not an endpoint, with the part of it that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    /// What is wrong.
    pub kind: EndpointErrorKind,
    /// Bytes of the text to point at.
    pub at: std::ops::Range<usize>,
    /// What is wrong, in words.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// The class of an endpoint mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointErrorKind {
    /// Not of the form the scheme asks for.
    Malformed,
    /// Credentials in the address.
    Userinfo,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.help)
    }
}

impl std::error::Error for EndpointError {}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let malformed = |at, message: &str, help: String| {
            Err(EndpointError {
                kind: EndpointErrorKind::Malformed,
                at,
                message: message.to_owned(),
                help,
            })
        };
        if let Some((at, found)) = text
            .char_indices()
            .find(|(_, c)| c.is_control() || c.is_whitespace())
        {
            let message =
                format!("an endpoint holds no blanks or control characters, found {found:?}");
            let help = "remove this character".to_owned();
            return malformed(at..at + found.len_utf8(), &message, help);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let (message, help) = without_scheme(text);
            return malformed(0..text.len(), message, help);
        };
        let sound = scheme.starts_with(|c: char| c.is_ascii_lowercase())
            && scheme.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '+' | '-' | '.')
            });
        if !sound {
            let lower = scheme.to_ascii_lowercase();
            let help = if SCHEMES.contains(&lower.as_str()) {
                format!("write `{lower}://{rest}`")
            } else {
                format!("schemes are {}", list(&SCHEMES))
            };
            return malformed(
                0..scheme.len(),
                "a scheme is lower-case letters and digits",
                help,
            );
        }
        let parts = Parts {
            text,
            rest_at: scheme.len() + 3,
            rest,
        };
        match scheme {
            "unix" => parts.unix(),
            "inproc" => parts.inproc(),
            "tcp" => parts
                .host_and_port("tcp", "9000")
                .and_then(|(host, port, path)| {
                    parts.no_path(&path).map(|()| Endpoint::Tcp { host, port })
                }),
            "tls" => parts
                .host_and_port("tls", "9000")
                .and_then(|(host, port, path)| {
                    parts.no_path(&path).map(|()| Endpoint::Tls { host, port })
                }),
            "nats" => parts.nats(),
            other if rest.is_empty() => malformed(
                0..text.len(),
                "nothing follows the scheme",
                format!("write `{other}://…`"),
            ),
            other => {
                parts.no_userinfo(rest.find(['/', '?', '#']).unwrap_or(rest.len()))?;
                Ok(Endpoint::Other {
                    scheme: other.to_owned(),
                    rest: rest.to_owned(),
                })
            }
        }
    }
}

/// The text after the scheme, with where it stands.
struct Parts<'a> {
    text: &'a str,
    rest_at: usize,
    rest: &'a str,
}

// === impl Parts ===

impl Parts<'_> {
    fn fail<T>(
        &self,
        at: std::ops::Range<usize>,
        message: &str,
        help: String,
    ) -> Result<T, EndpointError> {
        Err(EndpointError {
            kind: EndpointErrorKind::Malformed,
            at,
            message: message.to_owned(),
            help,
        })
    }

    fn whole<T>(&self, message: &str, help: String) -> Result<T, EndpointError> {
        self.fail(0..self.text.len(), message, help)
    }

    fn unix(&self) -> Result<Endpoint, EndpointError> {
        let path = self.rest;
        if !path.starts_with('/') {
            let help = if path.is_empty() {
                "for example `unix:///run/my_app/name.sock`".to_owned()
            } else {
                // The first of `//run/app.sock` was taken for the scheme's.
                let roots = ["run", "tmp", "var", "home", "dev", "opt", "srv", "usr"];
                let first = path.split('/').next().unwrap_or_default();
                let root = if roots.contains(&first) && first != path {
                    ""
                } else {
                    "run/"
                };
                format!(
                    "write the whole path, with three slashes: for example `unix:///{root}{}`",
                    crate::names::shortened(path)
                )
            };
            return self.whole("a socket path is absolute", help);
        }
        if let Some(at) = path.find('\0') {
            return self.fail(
                self.rest_at + at..self.rest_at + at + 1,
                "a path holds no NUL",
                "remove this character".to_owned(),
            );
        }
        if path.ends_with('/') {
            return self.whole(
                "a socket path names a file",
                format!("add its name: `unix://{path}name.sock`"),
            );
        }
        if path.split('/').any(|part| part == "..") {
            return self.whole(
                "a socket path does not climb with `..`",
                "write the path it stands for".to_owned(),
            );
        }
        Ok(Endpoint::Unix(path.to_owned()))
    }

    fn inproc(&self) -> Result<Endpoint, EndpointError> {
        let name = self.rest;
        let stray = name
            .char_indices()
            .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')));
        match stray {
            _ if name.is_empty() => self.whole(
                "an inproc endpoint has a name",
                "for example `inproc://name`".to_owned(),
            ),
            Some((at, c)) => self.fail(
                self.rest_at + at..self.rest_at + at + c.len_utf8(),
                "an inproc name is letters, digits, `_`, `-` and `.`",
                "for example `inproc://name`".to_owned(),
            ),
            None => Ok(Endpoint::Inproc(name.to_owned())),
        }
    }

    fn nats(&self) -> Result<Endpoint, EndpointError> {
        let (host, port, path) = self.host_and_port("nats", "4222")?;
        let subject = path.strip_prefix('/').unwrap_or(&path);
        if subject.is_empty() {
            return self.whole(
                "a nats endpoint names a subject",
                format!("for example `nats://{}:{port}/orders`", Host(&host)),
            );
        }
        let sound = subject.split('.').all(|token| !token.is_empty())
            && subject
                .chars()
                .all(|c| c.is_ascii_graphic() && !matches!(c, '*' | '>' | '/' | '?' | '#'));
        if !sound {
            let start = self.text.len() - subject.len();
            return self.fail(
                start..self.text.len(),
                "a subject is names joined by single dots, without wildcards",
                "for example `orders.eu`".to_owned(),
            );
        }
        Ok(Endpoint::Nats {
            host,
            port,
            subject: subject.to_owned(),
        })
    }

    /// Splits `host:port` and what follows them.
    fn host_and_port(
        &self,
        scheme: &str,
        example: &str,
    ) -> Result<(String, u16, String), EndpointError> {
        let end = self.rest.find(['/', '?', '#']).unwrap_or(self.rest.len());
        self.no_userinfo(end)?;
        let (authority, path) = self.rest.split_at(end);
        let (host, port_at) = match authority.strip_prefix('[') {
            Some(inner) => match inner.split_once(']') {
                Some((host, after)) if after.starts_with(':') => (host, host.len() + 3),
                Some((host, _)) => {
                    return self.whole(
                        "the port is missing",
                        format!("for example `{scheme}://[{host}]:{example}`"),
                    );
                }
                None => {
                    return self.whole(
                        "`[` is not closed",
                        format!("for example `{scheme}://[::1]:{example}`"),
                    );
                }
            },
            None if has_two_ports(authority) => {
                let mut parts = authority.split(':');
                let host = parts.next().unwrap_or_default();
                let port = parts.next().unwrap_or_default();
                return self.whole(
                    "an endpoint has one port",
                    format!("for example `{scheme}://{host}:{port}`"),
                );
            }
            None if authority.matches(':').count() > 1 => {
                return self.whole(
                    "an IPv6 address stands in brackets",
                    format!("for example `{scheme}://[::1]:{example}`"),
                );
            }
            None => match authority.split_once(':') {
                Some((host, _)) => (host, host.len() + 1),
                None if authority.is_empty() => {
                    return self.whole(
                        "host and port are missing",
                        format!("for example `{scheme}://127.0.0.1:{example}`"),
                    );
                }
                None => {
                    return self.whole(
                        "the port is missing",
                        format!("for example `{scheme}://{authority}:{example}`"),
                    );
                }
            },
        };
        let digits = &authority[port_at..];
        let place = self.rest_at + port_at..self.rest_at + authority.len();
        let port = match digits.parse::<u16>() {
            _ if digits.is_empty() => {
                return self.whole(
                    "the port is missing",
                    format!("for example `{scheme}://{}:{example}`", Host(host)),
                );
            }
            Ok(port) if digits.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => {
                return self.fail(
                    place,
                    "a port is a number from 1 to 65535",
                    format!("for example `:{example}`"),
                );
            }
        };
        self.host_is_sound(host, authority.starts_with('['), scheme, digits)?;
        Ok((host.to_owned(), port, path.to_owned()))
    }

    fn host_is_sound(
        &self,
        host: &str,
        bracketed: bool,
        scheme: &str,
        port: &str,
    ) -> Result<(), EndpointError> {
        let place = self.rest_at..self.rest_at + host.len().max(1);
        if host.is_empty() {
            return self.whole(
                "the host is missing",
                format!("for example `{scheme}://127.0.0.1:{port}`"),
            );
        }
        if bracketed {
            return match host.parse::<std::net::Ipv6Addr>() {
                Ok(_) => Ok(()),
                Err(_) => self.fail(
                    self.rest_at..self.rest_at + host.len() + 2,
                    "brackets hold an IPv6 address",
                    format!("for example `{scheme}://[::1]:{port}`"),
                ),
            };
        }
        if host.chars().all(|c| c.is_ascii_digit() || c == '.')
            && host.parse::<std::net::Ipv4Addr>().is_err()
        {
            return self.fail(
                place,
                "this is not an IPv4 address",
                "write four numbers from 0 to 255".to_owned(),
            );
        }
        match host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
            && host.len() <= 253
        {
            true => Ok(()),
            false => self.fail(
                place,
                "a host is letters, digits, `-` and `.`",
                match host {
                    "*" => "to listen at every address of this host, write `0.0.0.0` in `bind`",
                    _ if host.is_ascii() => "write a host's name or its address",
                    _ => "write an international name in its `xn--` form",
                }
                .to_owned(),
            ),
        }
    }

    fn no_path(&self, path: &str) -> Result<(), EndpointError> {
        if path.is_empty() {
            return Ok(());
        }
        let start = self.text.len() - path.len();
        self.fail(
            start..self.text.len(),
            "nothing may follow the port",
            format!("write `{}`", &self.text[..start]),
        )
    }

    fn no_userinfo(&self, end: usize) -> Result<(), EndpointError> {
        // A password may itself hold a `/`, so the whole rest is searched for the last `@` when the host part has none.
        let at = self.rest[..end].rfind('@').or_else(|| self.rest.find('@'));
        let Some(at) = at else { return Ok(()) };
        Err(EndpointError {
            kind: EndpointErrorKind::Userinfo,
            at: self.rest_at..self.rest_at + at + 1,
            message: "an endpoint carries no credentials".to_owned(),
            help: "remove everything up to `@`".to_owned(),
        })
    }
}

fn without_scheme(text: &str) -> (&'static str, String) {
    if text.is_empty() {
        return (
            "an endpoint is not empty",
            "for example `unix:///run/my_app/orders.sock` or `tcp://127.0.0.1:9000`".to_owned(),
        );
    }
    let bare = text.trim_start_matches([':', '/']);
    if text.starts_with('/') {
        return ("the scheme is missing", format!("write `unix://{text}`"));
    }
    if let Some((scheme, rest)) = text.split_once(':')
        && SCHEMES.contains(&scheme)
    {
        let bare = rest.trim_start_matches('/');
        let help = match (scheme, rest.starts_with('/')) {
            // A path begins with a slash of its own.
            ("unix", true) => format!("write `unix:///{bare}`"),
            ("unix", false) => format!("for example `unix:///run/{bare}`"),
            _ => format!("write `{scheme}://{bare}`"),
        };
        return ("`://` follows a scheme", help);
    }
    if bare.contains(':') {
        return ("the scheme is missing", format!("write `tcp://{bare}`"));
    }
    (
        "the scheme is missing",
        "for example `unix:///run/my_app/orders.sock` or `tcp://127.0.0.1:9000`".to_owned(),
    )
}

pub(crate) fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
/// `127.0.0.1:9001:9002`, as against an IPv6 address without brackets.
fn has_two_ports(authority: &str) -> bool {
    let host = authority.split(':').next().unwrap_or_default();
    let is_hex = host.chars().all(|c| c.is_ascii_hexdigit());
    authority.matches(':').count() > 1 && !is_hex
}
