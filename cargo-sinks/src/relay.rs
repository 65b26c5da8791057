//! `cargo sinks relay`: one process that serves every relay service of a registry, until it is told to stop.

use std::env;

use sink_codegen::Options;
use sink_relay::Relay;
use sink_schema::{Capabilities, Kind, Layers, Plan, Role};

use crate::{
    cli::RegistryArgs,
    failure::Failure,
    registry::{self, Loaded},
};

/// Serves; ends with the numbers of each service.
pub(crate) fn run(args: &RegistryArgs) -> Result<(), Failure> {
    let profile = args.profile.clone().or_else(|| {
        env::var("SINKS_PROFILE")
            .ok()
            .filter(|profile| !profile.is_empty())
    });
    let args = RegistryArgs {
        profile,
        ..args.clone()
    };
    let loaded = registry::load(&args, Options::default())?;
    loaded.report()?;
    let plan = as_running(&loaded)?;
    if !plan.services.iter().any(is_relay) {
        let text = format!(
            "{} has no service of `type = \"relay\"`: there is nothing to serve",
            loaded.registry.base.path
        );
        return Err(Failure::Said(text));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .map_err(Failure::at("async runtime"))?
        .block_on(serve(plan))
}

/// The plan with the environment over it, as every running program has it.
fn as_running(loaded: &Loaded) -> Result<Plan, Failure> {
    let overlay = loaded
        .registry
        .overlays
        .iter()
        .find(|overlay| Some(&overlay.profile) == loaded.options.profile.as_ref());
    let environment: Vec<(String, String)> = env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let (plan, mistakes) = sink_schema::load(&Layers {
        base: &loaded.registry.base,
        overlay: overlay.map(|overlay| &overlay.file),
        environment: &environment,
        capabilities: Capabilities::build(),
    });
    if mistakes.has_errors() {
        tell!("{mistakes}");
        return Err(Failure::Reported);
    }
    Ok(plan)
}

fn is_relay(service: &sink_schema::ServicePlan) -> bool {
    matches!(&service.kind, Kind::Leaf(leaf) if leaf.role == Role::Relay)
}

async fn serve(plan: Plan) -> Result<(), Failure> {
    let failed = |error: sink_relay::RelayError| Failure::Said(chain(&error));
    let running = Relay::from_plan(plan)
        .map_err(failed)?
        .start()
        .await
        .map_err(failed)?;
    for local in running.local_endpoints() {
        tell!(
            "serving {} at {}",
            local.services.join(", "),
            local.endpoint
        );
    }
    tell!("Ctrl-C ends it");
    let report = running.serve(told_to_stop()).await;
    tell!("{report}");
    Ok(())
}

/// An error with all its causes, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Ctrl-C, or a service manager's request.
async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
