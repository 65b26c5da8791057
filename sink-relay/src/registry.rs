//! From a registry file and its layers to what is to be bound. Reads files and environment; opens no socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sink_runtime::RegistryError;
use sink_runtime::transport::Target;
use sink_schema::{
    Capabilities, Color, Endpoint, Format, Layers, LeafPlan, Plan, Role, SourceFile,
};

use crate::error::RelayError;
use crate::settings::Settings;

/// One endpoint to be bound, and the services there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) target: Target,
    pub(crate) services: Vec<Placed>,
}

/// One service at an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) name: Arc<str>,
    pub(crate) aliases: Vec<Arc<str>>,
    pub(crate) settings: Settings,
}

/// Reads the file, the overlay that `SINKS_PROFILE` names, and `SINKS__…` of the environment.
pub(crate) fn read(path: &Path) -> Result<Plan, RelayError> {
    let base = source(path)?;
    let overlay = match std::env::var("SINKS_PROFILE") {
        Ok(profile) if !profile.is_empty() => Some(source(&overlay(path, &profile))?),
        _ => None,
    };
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| key.starts_with("SINKS__"))
        .collect();
    let layers = Layers {
        base: &base,
        overlay: overlay.as_ref(),
        environment: &environment,
        capabilities: Capabilities::build(),
    };
    let (plan, mut mistakes) = sink_schema::load(&layers);
    if mistakes.has_errors() {
        mistakes.errors_first();
        let count = mistakes.errors().count();
        let text = mistakes.render(Format::Human, Color::Never).into();
        return Err(RelayError::Invalid {
            path: PathBuf::from(mistakes.places_of_errors()),
            count,
            text,
        });
    }
    Ok(plan)
}

/// `services.toml` and profile `prod` make `services.prod.toml`; a profile without a file is a mistake in its name.
fn overlay(path: &Path, profile: &str) -> PathBuf {
    let extension = path
        .extension()
        .map_or_else(|| "toml".into(), |extension| extension.to_string_lossy());
    path.with_extension(format!("{profile}.{extension}"))
}

fn source(path: &Path) -> Result<SourceFile, RelayError> {
    sink_runtime::registry_file(path).map_err(|error| match error {
        RegistryError::Read { source, .. } => RelayError::Read {
            path: path.to_owned(),
            source,
        },
        RegistryError::Invalid {
            registry,
            count,
            text,
        } => RelayError::Invalid {
            path: PathBuf::from(&*registry),
            count,
            text,
        },
        other => RelayError::Invalid {
            path: path.to_owned(),
            count: 1,
            text: other.to_string().into(),
        },
    })
}

/// The endpoints of a plan's relay services. Services whose carrier is its own relay (a cluster) are not ours to serve.
pub(crate) fn places(plan: &Plan) -> Result<Vec<Place>, RelayError> {
    let mut places: Vec<Place> = Vec::new();
    for service in &plan.services {
        let Some(leaf) = service.leaf().filter(|leaf| leaf.role == Role::Relay) else {
            continue;
        };
        let target = target(leaf);
        if !is_stream(&target.endpoint) {
            continue;
        }
        let name: Arc<str> = Arc::from(service.name.as_str());
        let aliases = service
            .aliases
            .iter()
            .map(|alias| Arc::from(alias.name.as_str()))
            .collect();
        let placed = Placed {
            name,
            aliases,
            settings: Settings::of(leaf),
        };
        match places
            .iter_mut()
            .find(|place| place.target.endpoint == target.endpoint)
        {
            Some(place) => {
                agree(place, &target, &placed)?;
                place.services.push(placed);
            }
            None => places.push(Place {
                target,
                services: vec![placed],
            }),
        }
    }
    Ok(places)
}

fn target(leaf: &LeafPlan) -> Target {
    let endpoint = leaf.bind.as_ref().unwrap_or(&leaf.endpoint).clone();
    Target {
        endpoint,
        allow_uids: leaf.allow_uids.clone(),
        insecure_plaintext: leaf.insecure_plaintext,
    }
}

fn is_stream(endpoint: &Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Unix(_)
            | Endpoint::UnixDefault(_)
            | Endpoint::Tcp { .. }
            | Endpoint::Tls { .. }
            | Endpoint::Inproc(_)
    )
}

/// Who may connect is asked before the peer names its service, so services of one endpoint must agree in it.
fn agree(place: &Place, target: &Target, placed: &Placed) -> Result<(), RelayError> {
    let key = if place.target.allow_uids != target.allow_uids {
        "allow_uids"
    } else if place.target.insecure_plaintext != target.insecure_plaintext {
        "insecure_plaintext"
    } else {
        return Ok(());
    };
    let first = place
        .services
        .first()
        .map_or_else(|| Arc::from(""), |first| Arc::clone(&first.name));
    let endpoint = target.endpoint.to_string().into();
    Err(RelayError::Conflict {
        first,
        second: Arc::clone(&placed.name),
        endpoint,
        key,
    })
}

/// An error for a registry without relays.
pub(crate) fn nothing_to_serve(path: &Path) -> RelayError {
    RelayError::NothingToServe {
        path: PathBuf::from(path),
    }
}
