//! The commands as a user types them: what they print, and their exit status.
#![allow(clippy::unwrap_used, reason = "in a test, anything else is a failure")]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const SOUND: &str = r#"
[services.ticks]
type = "relay"
delivery = "at_least_once"

[services.audit]
type = "direct"
endpoint = "inproc://audit"

[services.everywhere]
type = "composite"
pattern = "fanout"
targets = ["ticks", "audit"]
optional = ["audit"]
"#;

const BROKEN: &str = "[services.ticks]\ntype = \"rely\"\n";

const DOUBTFUL: &str =
    "[services.ticks]\ntype = \"relay\"\nendpoint = \"unix:///tmp/ticks.sock\"\n";

fn folder(registry: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("services.toml"), registry).unwrap();
    folder
}

fn sinks(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sinks"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("SINKS_PROFILE")
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn both_names_of_the_command_work() {
    let folder = folder(SOUND);
    assert_eq!(status(&sinks(folder.path(), &["check"])), 0);
    assert_eq!(status(&sinks(folder.path(), &["sinks", "check"])), 0);
}

#[test]
fn check_ends_with_a_verdict() {
    let output = sinks(folder(SOUND).path(), &["check"]);
    assert_eq!(
        err(&output).trim(),
        "services.toml: 3 services, no mistakes"
    );
}

#[test]
fn check_exits_1_on_an_error_in_every_format() {
    let folder = folder(BROKEN);
    for format in ["human", "short", "json", "github"] {
        let output = sinks(folder.path(), &["check", "--format", format]);
        assert_eq!(status(&output), 1, "{format}");
        let text = format!("{}{}", out(&output), err(&output));
        assert!(
            text.contains("E0103") && text.contains("rely"),
            "{format}: {text}"
        );
    }
    let short = sinks(folder.path(), &["check", "--format", "short"]);
    assert!(
        out(&short).starts_with("services.toml:2:8: error[E0103]"),
        "{}",
        out(&short)
    );
    let github = sinks(folder.path(), &["check", "--format", "github"]);
    assert!(
        out(&github).starts_with("::error file=services.toml,line=2,col=8,title=E0103::"),
        "{}",
        out(&github)
    );
}

#[test]
fn a_warning_is_an_error_only_when_denied() {
    let folder = folder(DOUBTFUL);
    assert_eq!(status(&sinks(folder.path(), &["check"])), 0);
    assert_eq!(
        status(&sinks(folder.path(), &["check", "--deny-warnings"])),
        1
    );
}

#[test]
fn overlays_are_checked_and_profiles_must_exist() {
    let folder = folder(SOUND);
    fs::write(
        folder.path().join("services.staging.toml"),
        "[services.tick]\nbuffer_size = 5\n",
    )
    .unwrap();
    let output = sinks(folder.path(), &["check", "--format", "short"]);
    assert_eq!(status(&output), 1);
    assert!(
        out(&output).starts_with("services.staging.toml:1:"),
        "{}",
        out(&output)
    );
    let output = sinks(folder.path(), &["check", "--profile", "production"]);
    assert_eq!(status(&output), 1);
    assert!(
        err(&output).contains("no overlay services.production.toml")
            && err(&output).contains("there are: staging"),
        "{}",
        err(&output)
    );
}

#[test]
fn generate_writes_and_then_agrees_with_itself() {
    let unwritten = sinks(folder(SOUND).path(), &["generate", "--check"]);
    assert_eq!(status(&unwritten), 1);
    let said = "error: src/sinks.rs is not there\n\nhelp: run `cargo sinks generate`";
    assert!(err(&unwritten).starts_with(said), "{}", err(&unwritten));

    let folder = folder(SOUND);
    assert_eq!(status(&sinks(folder.path(), &["generate", "--check"])), 1);
    assert_eq!(status(&sinks(folder.path(), &["generate"])), 0);
    assert_eq!(status(&sinks(folder.path(), &["generate", "--check"])), 0);
    let generated = folder.path().join("src/sinks.rs");
    let text = fs::read_to_string(&generated).unwrap();
    assert!(
        text.contains("use ::sink_runtime as __sink_runtime;"),
        "{text}"
    );
    fs::write(&generated, text.replace("fn ticks", "fn tocks")).unwrap();
    let output = sinks(folder.path(), &["generate", "--check"]);
    assert_eq!(status(&output), 1);
    assert!(
        err(&output).contains("- ") && err(&output).contains("tocks"),
        "{}",
        err(&output)
    );
}

/// `cargo fmt` reaches the file by `mod sinks;`, an editor by its name.
#[test]
fn what_is_generated_stays_so_under_rustfmt() {
    let folder = folder(SOUND);
    assert_eq!(status(&sinks(folder.path(), &["generate"])), 0);
    let library = folder.path().join("src/lib.rs");
    fs::write(&library, "mod   sinks;\n").unwrap();
    for file in [&library, &folder.path().join("src/sinks.rs")] {
        let mut rustfmt = Command::new("rustfmt");
        let done = rustfmt.args(["--edition", "2024"]).arg(file).output();
        assert_eq!(status(&done.unwrap()), 0, "{}", file.display());
    }
    assert_eq!(fs::read_to_string(&library).unwrap(), "mod sinks;\n");
    assert_eq!(status(&sinks(folder.path(), &["generate", "--check"])), 0);
}

#[test]
fn generate_leaves_alone_what_it_did_not_write() {
    let folder = folder(SOUND);
    let path = folder.path().join("src/sinks.rs");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "pub fn by_hand() {}\n").unwrap();
    let output = sinks(folder.path(), &["generate"]);
    assert_eq!(status(&output), 1);
    let said = "error: src/sinks.rs was not generated by sinks, and is left as it is\n\nhelp: remove it, or name";
    assert!(err(&output).starts_with(said), "{}", err(&output));
    assert_eq!(fs::read_to_string(&path).unwrap(), "pub fn by_hand() {}\n");
    // A file that was made and not yet written to, and one of an older version, are written over.
    for old in [
        "",
        "// @generated by sink-codegen from services.toml. Do not edit: edit the registry.\n",
    ] {
        fs::write(&path, old).unwrap();
        assert_eq!(status(&sinks(folder.path(), &["generate"])), 0);
    }
}

#[test]
fn a_runtime_path_is_a_path_of_rust() {
    let folder = folder(SOUND);
    for command in ["generate", "expand"] {
        let output = sinks(folder.path(), &[command, "--runtime-path", "not a path"]);
        assert_ne!(status(&output), 0);
        assert!(
            err(&output).contains("this is no path of Rust"),
            "{}",
            err(&output)
        );
    }
    let sound = sinks(folder.path(), &["expand", "--runtime-path", "crate::rt"]);
    assert_eq!(status(&sound), 0);
    assert!(out(&sound).contains("use crate::rt as __sink_runtime;"));
}

#[test]
fn generate_refuses_a_broken_registry() {
    let folder = folder(BROKEN);
    assert_eq!(status(&sinks(folder.path(), &["generate"])), 1);
    assert!(!folder.path().join("src/sinks.rs").exists());
}

#[test]
fn expand_prints_rust_even_of_what_is_sound_beside_a_mistake() {
    let output = sinks(
        folder(&format!("{SOUND}{}", BROKEN.replace("ticks", "late"))).path(),
        &["expand"],
    );
    assert_eq!(status(&output), 1);
    assert!(out(&output).contains("pub fn ticks() -> &'static __types::Ticks"));
    assert!(out(&output).contains("pub fn late() -> &'static __Broken"));
}

#[test]
fn graphs_name_every_service_and_edge() {
    let folder = folder(SOUND);
    for (format, edge) in [
        ("mermaid", "s2 -.->"),
        ("dot", "s2 -> s1"),
        ("svg", "stroke-dasharray"),
    ] {
        let output = sinks(folder.path(), &["graph", "--format", format]);
        assert_eq!(status(&output), 0);
        let text = out(&output);
        assert!(text.contains(edge), "{text}");
        for name in ["ticks", "audit", "everywhere", "at least once", "optional"] {
            assert!(text.contains(name), "{format} lacks {name}: {text}");
        }
    }
}

#[test]
fn a_registry_elsewhere_is_named() {
    let folder = folder("");
    let root = folder.path();
    fs::remove_file(root.join("services.toml")).unwrap();
    for registry in [
        "b/services.toml",
        "a/deep/services.toml",
        "target/services.toml",
    ] {
        let path = root.join(registry);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, SOUND).unwrap();
    }
    let beneath = err(&sinks(root, &["check"]));
    let said = "help: there is b/services.toml, a/deep/services.toml: `--registry b/services.toml`";
    assert!(beneath.contains(said), "{beneath}");
    fs::write(root.join("b/Cargo.toml"), "").unwrap();
    fs::create_dir(root.join("b/src")).unwrap();
    let above = err(&sinks(&root.join("b/src"), &["check"]));
    assert!(above.contains("`--registry ../services.toml`"), "{above}");
}

#[test]
fn whoever_reads_may_go_before_the_end() {
    let folder = folder(BROKEN);
    for command in ["check", "expand", "generate", "graph", "explain"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cargo-sinks"))
            .arg(command)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().unwrap().code();
        assert_eq!(status, Some(i32::from(command != "explain")), "{command}");
    }
}

#[test]
fn a_broken_registry_has_no_graph() {
    let folder = folder(BROKEN);
    let output = sinks(folder.path(), &["graph"]);
    assert_eq!(status(&output), 1);
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("error[E0"), "{}", err(&output));
}

#[test]
fn a_missing_registry_says_how_to_have_one() {
    let folder = tempfile::tempdir().unwrap();
    let output = sinks(folder.path(), &["check"]);
    assert_eq!(status(&output), 1);
    assert!(
        err(&output).contains("cargo sinks init"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_missing_registry_is_a_mistake_for_programs_too() {
    let folder = tempfile::tempdir().unwrap();
    let github = sinks(folder.path(), &["check", "--format", "github"]);
    assert_eq!(status(&github), 1);
    assert!(
        out(&github).starts_with(
            "::error file=services.toml,line=1,col=1,title=E0117::there is no registry at services.toml%0Ahelp: "
        ) && out(&github).lines().count() == 1,
        "{}",
        out(&github)
    );
    let json = sinks(folder.path(), &["check", "--format", "json"]);
    assert!(
        out(&json).starts_with("[\n{\"severity\":\"error\",\"code\":\"E0117\",")
            && out(&json).ends_with("}\n]\n"),
        "{}",
        out(&json)
    );
    for output in [github, json] {
        assert!(err(&output).starts_with("error: there is no registry"));
    }
    assert_eq!(
        out(&sinks(folder.path(), &["check", "--format", "short"])),
        "services.toml:1:1: error[E0117]: there is no registry at services.toml\n"
    );
}

#[test]
fn init_wants_a_crate() {
    let folder = tempfile::tempdir().unwrap();
    let output = sinks(folder.path(), &["init"]);
    assert_eq!(status(&output), 1);
    assert!(err(&output).contains("cargo new"), "{}", err(&output));
}

#[test]
fn init_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "# mine\n[package]\nname = \"app\" # kept\nedition = \"2024\"\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/lib.rs"), "//! Mine.\n").unwrap();
    fs::write(folder.path().join("build.rs"), "fn main() {}\n").unwrap();
    for _ in 0..2 {
        assert_eq!(status(&sinks(folder.path(), &["init"])), 0);
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("build.rs"), "fn main() {}\n");
    assert_eq!(
        read("src/lib.rs"),
        "//! Mine.\n\nsink_runtime::include_sinks!();\n"
    );
    let after = read("Cargo.toml");
    assert!(after.starts_with(manifest), "{after}");
    // The command was built in a checkout, so the crate uses that.
    for name in ["sink-runtime", "sink-codegen"] {
        let added = after.matches(&format!("{name} = {{ path = ")).count();
        assert_eq!(added, 1, "{after}");
    }
    assert_eq!(status(&sinks(folder.path(), &["check"])), 0);
}

#[test]
fn init_puts_the_registry_into_the_folder_it_was_asked_for_in() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("Cargo.toml", "[package]\nname = \"app\"\n");
    fs::create_dir(folder.path().join("src")).unwrap();
    write("src/lib.rs", "");
    let output = sinks(folder.path(), &["init", "--registry", "conf/live/x.toml"]);
    assert_eq!(status(&output), 0, "{}", err(&output));
    assert!(
        folder.path().join("conf/live/x.toml").exists() && !folder.path().join("x.toml").exists()
    );
    let script = fs::read_to_string(folder.path().join("build.rs")).unwrap();
    assert!(
        script.contains("sink_codegen::Build::new(\"conf/live/x.toml\").run();"),
        "{script}"
    );
    let check = sinks(folder.path(), &["check", "--registry", "conf/live/x.toml"]);
    assert_eq!(status(&check), 0, "{}", err(&check));
}

#[test]
fn init_refuses_a_workspace_without_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[workspace]\nmembers = [\"app\", \"feed\"]\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let output = sinks(folder.path(), &["init"]);
    assert_eq!(status(&output), 1);
    assert!(
        err(&output).contains("run `cargo sinks init` in the member")
            && err(&output).contains("(members: app, feed)"),
        "{}",
        err(&output)
    );
    let after = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
    assert_eq!(after, manifest);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn init_adds_nothing_twice_that_is_there_by_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = \"app\"\nbuild = \"make.rs\"\n\n[dependencies]\nmy-rt = { package = \"sink-runtime\", version = \"0.1\" }\n\n\
         [build-dependencies]\nmaker = { package = \"sink-codegen\", version = \"0.1\" }\n";
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("Cargo.toml", manifest);
    write(
        "make.rs",
        "fn main() { maker::Build::new(\"mine.toml\").run(); }\n",
    );
    write("mine.toml", "");
    fs::create_dir(folder.path().join("src")).unwrap();
    write("src/lib.rs", "");
    let output = sinks(folder.path(), &["init"]);
    let said = err(&output);
    assert_eq!(status(&output), 0, "{said}");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("Cargo.toml"), manifest);
    assert_eq!(read("src/lib.rs"), "my_rt::include_sinks!();\n");
    for name in ["build.rs", "services.toml"] {
        assert!(!folder.path().join(name).exists(), "{name}: {said}");
    }
    for found in [
        "which calls it my-rt",
        "which calls it maker",
        "make.rs, which generates from mine.toml",
        "kept mine.toml",
    ] {
        assert!(said.contains(found), "{found}: {said}");
    }
    fs::rename(
        folder.path().join("src/lib.rs"),
        folder.path().join("src/sinks.rs"),
    )
    .unwrap();
    write("src/lib.rs", "mod sinks;\n");
    assert!(err(&sinks(folder.path(), &["init"])).contains("which has include_sinks!()"));
    assert_eq!(read("src/lib.rs"), "mod sinks;\n");
}

/// Builds a new crate with path dependencies, offline; the repository's own lock file has every dependency it needs.
#[test]
fn a_crate_after_init_builds() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(
        folder.path().join("src/main.rs"),
        "fn main() {\n    let _ = Sinks::events();\n}\n",
    )
    .unwrap();
    let path = repository.to_str().unwrap();
    assert_eq!(status(&sinks(folder.path(), &["init", "--path", path])), 0);
    fs::copy(
        repository.join("Cargo.lock"),
        folder.path().join("Cargo.lock"),
    )
    .unwrap();
    let build = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet"])
        .current_dir(folder.path())
        .env(
            "CARGO_TARGET_DIR",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("init"),
        )
        .env("RUSTFLAGS", "-Dwarnings")
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", err(&build));
}

#[test]
fn a_warning_that_one_overlay_denies_is_an_error() {
    let folder = folder(DOUBTFUL);
    let lints = "[lints]\nshared_directory = \"deny\"\n";
    fs::write(folder.path().join("services.prod.toml"), lints).unwrap();
    let checked = sinks(folder.path(), &["check", "--format", "short"]);
    assert_eq!(status(&checked), 1, "{}", out(&checked));
    assert!(out(&checked).starts_with("services.toml:3:12: error[W0201]"));
    assert_eq!(out(&checked).lines().count(), 1, "{}", out(&checked));
}

#[test]
fn a_registry_that_is_no_text_is_named_with_the_place() {
    let folder = folder("");
    let path = folder.path().join("services.toml");
    fs::write(&path, b"[services.ticks]\ntype = \"\xc3\xa9\xff\"\n").unwrap();
    let checked = sinks(folder.path(), &["check"]);
    assert_eq!(status(&checked), 1);
    assert!(
        err(&checked)
            .starts_with("error[E0117]: the registry is not UTF-8\n --> services.toml:2:10\n"),
        "{}",
        err(&checked)
    );
    let short = sinks(folder.path(), &["check", "--format", "short"]);
    assert_eq!(
        out(&short),
        "services.toml:2:10: error[E0117]: the registry is not UTF-8\n"
    );
    assert_eq!(err(&short), "");
    fs::write(&path, b"\xff\xfe[\x00s\x00").unwrap();
    assert!(err(&sinks(folder.path(), &["check"])).contains("saved as UTF-16"));
    let json = sinks(folder.path(), &["check", "--format", "json"]);
    assert!(
        out(&json).contains("\"code\":\"E0117\"") && out(&json).contains("\"line\":1,"),
        "{}",
        out(&json)
    );
    assert_eq!(status(&sinks(folder.path(), &["explain", "E0117"])), 0);
}

#[test]
fn a_registry_that_is_no_file_or_has_no_end_is_refused_unread() {
    let folder = folder("");
    for (registry, said) in [
        ("/dev/zero", "the registry /dev/zero is no regular file"),
        (".", "the registry . is a folder"),
    ] {
        for command in ["check", "relay"] {
            let asked = sinks(folder.path(), &[command, "--registry", registry]);
            assert_eq!(status(&asked), 1, "{command} {registry}");
            assert!(err(&asked).contains(said), "{}", err(&asked));
        }
    }
    let long = fs::File::create(folder.path().join("services.toml")).unwrap();
    long.set_len(1 << 40).unwrap();
    let json = sinks(folder.path(), &["check", "--format", "json"]);
    assert!(
        out(&json).contains("services.toml is 1048576 MiB long, at most 4 MiB are read")
            && err(&json).contains("split it"),
        "{}",
        out(&json)
    );
}

#[test]
fn annotations_name_files_from_the_root_of_the_repository() {
    let repository = tempfile::tempdir().unwrap();
    let shop = repository.path().join("crates/shop");
    fs::create_dir_all(&shop).unwrap();
    fs::write(shop.join("services.toml"), "[services.a]\ntype = \"x\"\n").unwrap();
    let first_line = |registry: &str, workspace: &Path| {
        let asked = Command::new(env!("CARGO_BIN_EXE_cargo-sinks"))
            .args(["check", "--format", "github", "--registry", registry])
            .current_dir(&shop)
            .env_remove("SINKS_PROFILE")
            .env("GITHUB_WORKSPACE", workspace)
            .output()
            .unwrap();
        assert_eq!(status(&asked), 1);
        out(&asked).lines().next().unwrap_or_default().to_owned()
    };
    let there = "::error file=crates/shop/services.toml,line=2,";
    let absolute = shop.join("services.toml");
    for registry in [
        "services.toml",
        "../shop/./services.toml",
        absolute.to_str().unwrap(),
    ] {
        let said = first_line(registry, repository.path());
        assert!(said.starts_with(there), "{registry}: {said}");
    }
    let missing = first_line("none.toml", repository.path());
    assert!(
        missing.starts_with("::error file=crates/shop/none.toml,line=1,"),
        "{missing}"
    );
    // Where no workflow says it, the repository does; and elsewhere the path is what was asked for.
    let elsewhere = tempfile::tempdir().unwrap();
    let said = first_line("services.toml", elsewhere.path());
    assert!(
        said.starts_with("::error file=services.toml,line=2,"),
        "{said}"
    );
    fs::create_dir(repository.path().join(".git")).unwrap();
    let said = first_line("services.toml", elsewhere.path());
    assert!(said.starts_with(there), "{said}");
}

#[test]
fn a_file_that_is_out_of_date_is_told_with_the_command_that_writes_it() {
    let folder = folder(SOUND);
    let made = [
        "generate",
        "--out",
        "src/wires.rs",
        "--runtime-path",
        "::wires",
    ];
    assert_eq!(status(&sinks(folder.path(), &made)), 0);
    let check = |more: &[&str]| {
        let all = [&["generate", "--check", "--out", "src/wires.rs"], more].concat();
        let checked = sinks(folder.path(), &all);
        (status(&checked), err(&checked))
    };
    assert_eq!(check(&["--runtime-path", "::wires"]).0, 0);
    // Without the flag the file is compared with another one.
    let (code, said) = check(&[]);
    assert_eq!(code, 1);
    assert!(
        said.ends_with(
            "help: the file was made with `--runtime-path ::wires`: say so to `--check` as well\n"
        ),
        "{said}"
    );
    let path = folder.path().join("src/wires.rs");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}// more\n")).unwrap();
    let (code, said) = check(&["--runtime-path", "::wires"]);
    assert_eq!(code, 1);
    assert!(
        said.ends_with(
            "help: run `cargo sinks generate --out src/wires.rs --runtime-path ::wires` and commit the result\n"
        ),
        "{said}"
    );
}
