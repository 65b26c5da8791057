#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;
use crate::failover::Failover;
use crate::fanout::FanOut;

const BASE: &str = "[services.orders]\ntype = \"direct\"\nendpoint = \"inproc://base\"\n";
const OVERLAYS: &[(&str, &str, &str)] = &[
    (
        "production",
        "services.production.toml",
        "[services.orders]\nendpoint = \"inproc://production\"\n",
    ),
    (
        "staging",
        "services.staging.toml",
        "[services.orders]\nendpoint = \"inproc://staging\"\n",
    ),
];

fn endpoint(registry: &CompiledRegistry, asked: Option<&str>) -> String {
    let (base, overlay) = registry.layers(asked.or(registry.profile)).unwrap();
    let live = registry.resolve(&base, overlay.as_ref(), &[]).unwrap();
    let orders = live.registry.plan.find("orders").unwrap();
    orders.leaf().unwrap().endpoint.to_string()
}

#[test]
fn the_profile_of_the_build_is_in_force_until_another_is_asked_for() {
    let plain = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
    let staged = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]).of_profile("staging");
    assert_eq!(endpoint(&plain, None), "inproc://base");
    assert_eq!(endpoint(&staged, None), "inproc://staging");
    assert_eq!(endpoint(&staged, Some("production")), "inproc://production");
}

fn refused(text: &str, environment: &[(&str, &str)]) -> String {
    let program = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
    let environment: Vec<(String, String)> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let base = SourceFile::new("services.toml", text);
    let live = program.resolve(&base, None, &environment).unwrap();
    live.refused[0].to_string()
}

#[test]
fn a_mistake_is_told_with_the_layer_it_is_in_and_before_any_warning() {
    let in_the_environment = refused(BASE, &[("SINKS__ORDERS__BUFFER_SIZE", "many")]);
    assert!(
        in_the_environment.starts_with("1 mistake in the environment:\nerror["),
        "{in_the_environment}"
    );
    let shared = "[services.shared]\ntype = \"relay\"\nendpoint = \"unix:///tmp/a.sock\"\n";
    let wrong = BASE.replace("direct", "driect");
    let in_both = refused(
        &format!("{shared}{wrong}"),
        &[("SINKS__SHARED__BUFFER_SIZE", "many")],
    );
    assert!(
        in_both.starts_with("2 mistakes in services.toml and the environment:\nerror["),
        "{in_both}"
    );
    let warning = in_both.find("\nwarning[").expect("a shared directory");
    assert!(warning > in_both.rfind("\nerror[").unwrap(), "{in_both}");
}

#[test]
fn a_profile_that_was_not_built_in_is_told_with_those_that_were() {
    let none = CompiledRegistry::new("config/sinks.toml", BASE, &[], &[]);
    assert_eq!(
        none.layers(Some("test")).unwrap_err().to_string(),
        "`SINKS_PROFILE`: no overlay `sinks.test.toml` was built in (none was)"
    );
    let two = CompiledRegistry::new("services.toml", BASE, OVERLAYS, &[]);
    assert_eq!(
        two.layers(Some("test")).unwrap_err().to_string(),
        "`SINKS_PROFILE`: no overlay `services.test.toml` was built in (known: production, staging)"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_text_file_is_refused_as_the_build_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.toml");
    let said = |path: &Path| ServiceRegistry::from_file(path).unwrap_err().to_string();
    assert!(said(folder.path()).contains("is a folder"));
    assert!(said(Path::new("/dev/zero")).contains("is no regular file"));
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(said(&pipe).contains("is no regular file"));
    std::fs::File::create(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(said(&path).contains("is 1048576 MiB long, at most 4 MiB are read"));
    let utf16: Vec<u8> = BASE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, [&[0xff, 0xfe][..], &utf16].concat()).unwrap();
    let path = path.display();
    assert_eq!(
        said(Path::new(&path.to_string())),
        format!(
            "1 mistake in {path}:\nerror: {path}:1:1: the registry is not UTF-8\n\nhelp: it is saved as UTF-16: save it as UTF-8\n"
        )
    );
}

const LEAVES: &str = "[services.a]\ntype = \"direct\"\nendpoint = \"inproc://moved-a\"\n\
    [services.b]\ntype = \"direct\"\nendpoint = \"inproc://moved-b\"\n\
    [services.c]\ntype = \"direct\"\nendpoint = \"inproc://moved-c\"\n";
const BUILT: &str = "[services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
    [services.spare]\ntype = \"composite\"\npattern = \"failover\"\ntargets = [\"a\", \"b\"]\n\
    [services.lone]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\"]\n";
const LIVE: &str = "[services.both]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"b\", \"c\"]\n\
    [services.spare]\ntype = \"composite\"\npattern = \"fanout\"\ntargets = [\"a\", \"b\"]\n\
    [services.lone]\ntype = \"direct\"\nendpoint = \"inproc://moved-lone\"\n";

/// A program that was built with [`BUILT`] and runs with [`LIVE`].
fn moved() -> &'static CompiledRegistry {
    let text = Box::leak(format!("{LEAVES}{BUILT}").into_boxed_str());
    let program = Box::leak(Box::new(CompiledRegistry::new(
        "services.toml",
        text,
        &[],
        &[],
    )));
    let base = SourceFile::new("live.toml", format!("{LEAVES}{LIVE}"));
    let live = program.resolve(&base, None, &[]).unwrap();
    assert!(program.live.set(Ok(live)).is_ok());
    program
}

#[tokio::test]
async fn the_accessor_of_a_composite_goes_where_the_registry_in_force_says() {
    use crate::{Message, MessageSink};

    let program = moved();
    assert!(program.check().is_ok(), "nothing of it needs repair");
    let mut sources: Vec<Source<Message>> = ["a", "b", "c", "lone"]
        .iter()
        .map(|name| program.source(name).unwrap())
        .collect();
    let sink = |name| program.dynamic::<Message>(name).unwrap();
    let both = FanOut::compiled("both", program, (sink("a"), sink("b")));
    let spare = Failover::compiled("spare", program, (sink("a"), sink("b")));
    let lone = FanOut::compiled("lone", program, (sink("a"),));
    let message = |number| Message::new(vec![number]);
    both.send(message(1)).await.unwrap();
    both.try_send(message(2)).unwrap();
    spare.send(message(3)).await.unwrap();
    spare.try_send(message(4)).unwrap();
    lone.send(message(5)).await.unwrap();
    assert_eq!(both.ledger().done, 2);
    let nested = FanOut::new((both, sink("a"), spare));
    nested.try_send(message(6)).unwrap();
    for (source, expected) in
        sources
            .iter_mut()
            .zip([&[3, 4, 6, 6][..], &[1, 2, 3, 4, 6, 6], &[1, 2, 6], &[5]])
    {
        for expected in expected {
            let got = source.recv().await.unwrap().unwrap();
            assert_eq!(got.payload().as_ref(), [*expected]);
        }
    }
    let report = MessageSink::<Message>::close(&nested, Duration::from_secs(5)).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(sink("c").state().name(), "closed");
}

#[tokio::test]
async fn a_composite_of_doubles_is_refused_where_the_registry_in_force_has_others() {
    use crate::composite::Generated;
    use crate::{ConnectError, Message, MessageSink, SendErrorKind};

    let program = moved();
    let sink = |name| program.dynamic::<Message>(name).unwrap();
    let mut both = FanOut::compiled("both", program, (sink("a"), sink("b")));
    both.of_doubles();
    let refused = |error: &SendErrorKind| match error {
        SendErrorKind::Registry { source } => source.to_string(),
        other => panic!("{other}"),
    };
    let message = || Message::new(vec![1]);
    let said = refused(both.send(message()).await.unwrap_err().kind());
    assert_eq!(
        said,
        "`both`: the program was built with a fanout of a, b (services.toml:10), and live.toml:10 or a layer over it makes \
         it a fanout of b, c, which a `SinkSet` with doubles cannot follow; build again with this registry"
    );
    assert_eq!(refused(both.try_send(message()).unwrap_err().kind()), said);
    let connect = MessageSink::<Message>::connect(&both).await;
    assert!(matches!(connect, Err(ConnectError::Registry { .. })));
    let nested = FanOut::new((both, sink("a")));
    refused(nested.try_send(message()).unwrap_err().kind());
    assert_eq!(sink("a").ledger().unwrap().attempted, 0);
}

#[tokio::test]
async fn a_composite_that_sent_nothing_reads_no_registry() {
    use crate::{Message, MessageSink};

    static UNREAD: CompiledRegistry = CompiledRegistry::new("services.toml", "", &[], &[]);
    let member = DynSink::new(crate::testing::Recording::<Message>::new());
    let both = FanOut::compiled("both", &UNREAD, (member,));
    let _ = MessageSink::<Message>::state(&both);
    MessageSink::<Message>::flush(&both).await.unwrap();
    MessageSink::<Message>::disconnect(&both).await.unwrap();
    MessageSink::<Message>::close(&both, Duration::from_secs(1)).await;
    assert!(!UNREAD.is_read());
}
