//! What keeps a relay from starting.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sink_schema::EndpointError;

/// Why a relay does not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The registry could not be read.
    #[error("cannot read registry {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The registry has mistakes.
    #[error("{count} {} in {}:\n{text}", if *count == 1 { "mistake" } else { "mistakes" }, path.display())]
    Invalid {
        /// Where they are: the file, its overlay, the environment.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The rendered diagnostics.
        text: Arc<str>,
    },
    /// The registry has no relay service that a relay process serves.
    #[error("{} has no service of type = \"relay\" to serve", path.display())]
    NothingToServe {
        /// The file.
        path: PathBuf,
    },
    /// The text is no endpoint.
    #[error("`{text}` is no endpoint")]
    Endpoint {
        /// The text.
        text: Arc<str>,
        /// What is wrong with it.
        #[source]
        source: EndpointError,
    },
    /// Two services share an endpoint and disagree about who may connect to it.
    #[error("`{first}` and `{second}` share {endpoint}, but not {key}")]
    Conflict {
        /// The one.
        first: Arc<str>,
        /// The other.
        second: Arc<str>,
        /// What they share.
        endpoint: Arc<str>,
        /// The key in which they differ.
        key: &'static str,
    },
    /// The endpoint cannot be listened on.
    #[error("{}: cannot listen on {endpoint}", named(services))]
    Bind {
        /// The services at that endpoint; none where the endpoint was given alone.
        services: Vec<Arc<str>>,
        /// The endpoint.
        endpoint: Arc<str>,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}

fn named(services: &[Arc<str>]) -> String {
    if services.is_empty() {
        return "relay".to_owned();
    }
    services
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
