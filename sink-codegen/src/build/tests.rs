use super::*;

#[test]
fn a_folder_is_watched_only_if_it_holds_nothing_but_registries() {
    let folder = env::temp_dir().join(format!("sinks-watch-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("services.toml"), "").unwrap();
    fs::write(folder.join("services.staging.toml"), "").unwrap();
    let registries = holds_only_registries(&folder);
    fs::write(folder.join("Cargo.toml"), "").unwrap();
    let package = holds_only_registries(&folder);
    fs::remove_file(folder.join("Cargo.toml")).unwrap();
    fs::create_dir(folder.join("target")).unwrap();
    let build = holds_only_registries(&folder);
    fs::remove_dir_all(&folder).unwrap();
    assert!(registries && !package && !build);
}

const BASE: &str = "[services.orders]\ntype = \"direct\"\nendpoint = \"tcp://127.0.0.1:9001\"\n";
const STAGING: &str = "[services.orders]\nendpoint = \"tcp://127.0.0.1:9101\"\n";

/// What a build with this profile leaves.
fn built(test: &str, profile: &str) -> Outcome {
    let folder = env::temp_dir().join(format!("sinks-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("services.toml"), BASE).unwrap();
    fs::write(folder.join("services.staging.toml"), STAGING).unwrap();
    let build = Build::new("services.toml").profile(profile);
    let outcome = build.outcome(&folder.join("services.toml"));
    fs::remove_dir_all(&folder).unwrap();
    outcome
}

#[test]
fn a_profile_without_an_overlay_is_a_mistake() {
    let outcome = built("no-such-profile", "stagin");
    assert_eq!(
        outcome.mistakes,
        [
            "no overlay services.stagin.toml beside services.toml; there are: staging\n\n\
             help: a profile with a similar name exists: `staging`"
        ]
    );
    assert!(!outcome.code.contains("of_profile"), "{}", outcome.code);
}

#[test]
fn the_profile_of_the_build_is_compiled_in() {
    let outcome = built("profile", "staging");
    assert!(outcome.mistakes.is_empty(), "{:?}", outcome.mistakes);
    let code: String = outcome.code.split_whitespace().collect();
    assert!(
        code.contains(".of_profile(\"staging\")"),
        "{}",
        outcome.code
    );
}

/// By its code a person finds what `cargo sinks explain` says of it.
#[test]
fn a_registry_that_cannot_be_read_has_a_code() {
    let nowhere = env::temp_dir().join("sinks-no-such-folder/services.toml");
    let outcome = Build::new("services.toml").outcome(&nowhere);
    let [mistake] = &outcome.mistakes[..] else {
        panic!("{:?}", outcome.mistakes);
    };
    assert!(
        mistake.starts_with("[E0117] there is no registry at "),
        "{mistake}"
    );
}

#[test]
fn a_runtime_path_that_is_none_is_a_mistake() {
    let folder = env::temp_dir().join(format!("sinks-path-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("services.toml"), BASE).unwrap();
    let build = Build::new("services.toml").runtime_path("not a path");
    let outcome = build.outcome(&folder.join("services.toml"));
    fs::remove_dir_all(&folder).unwrap();
    let [mistake] = &outcome.mistakes[..] else {
        panic!("{:?}", outcome.mistakes);
    };
    assert!(
        mistake.contains("`Build::runtime_path(\"not a path\")` is not a path"),
        "{mistake}"
    );
    assert!(!outcome.code.contains("not a path"), "{}", outcome.code);
}
