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
