//! The golden outputs compile, without a warning even of lints that a strict crate turns on.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    missing_copy_implementations,
    unreachable_pub,
    nonstandard_style,
    unused,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used
)]
#![forbid(unsafe_code)]

/// A message of its own crate.
#[derive(Clone, Copy, Debug, sink_runtime::Message)]
#[message(serde, accepts = ["0x0123456789abcdef"])]
pub struct Tick {
    /// Ticks of the exchange.
    pub price: u64,
}

/// A module that messages live in.
pub mod nested {
    /// Every shape that a message may have.
    #[derive(Clone, Debug, sink_runtime::Message)]
    #[message(serde)]
    pub enum Order {
        /// A tuple.
        Buy(u64, String),
        /// Fields.
        Sell {
            /// Another message.
            at: Option<super::Tick>,
        },
        /// Nothing, by another name.
        #[serde(rename = "nothing")]
        Cancel,
    }
}

/// Untyped services.
pub mod seed {
    use ::sink_runtime as __sink_runtime;
    include!("../../sink-codegen/tests/golden/seed.rs");
}

/// Typed services.
pub mod typed {
    use ::sink_runtime as __sink_runtime;
    include!("../../sink-codegen/tests/golden/typed.rs");
}

/// Services named like everything that may stand beside them: all of it stays what it was.
pub mod names {
    use ::sink_runtime as __sink_runtime;
    use sink_runtime::Message;
    include!("../../sink-codegen/tests/golden/names.rs");

    /// A message beside `Sinks`, whose service has its name.
    #[derive(Clone, Copy, Debug, Message)]
    #[message(serde)]
    pub struct Quote {
        /// Its price.
        pub price: Option<u64>,
    }

    #[derive(Debug, Default)]
    struct Local(Vec<String>);

    mod services {
        pub(super) fn of_the_user() -> &'static str {
            "services"
        }
    }

    /// The items of this name, not the aliases.
    #[must_use]
    pub fn items() -> Option<Result<String, usize>> {
        let local = Local(Vec::from([String::from("an item")]));
        let message = Message::from(local.0.concat().into_bytes());
        let sinks: (Sinks, Sources) = (Sinks { _private: () }, Sources { _private: () });
        let shown = format!("{:?}{:?}", Quote { price: None }, sinks) + services::of_the_user();
        Some(Ok(format!("{message:?}{shown}")))
    }
}

/// Messages that come by a glob, beside a service that has the name of one.
pub mod by_glob {
    use ::sink_runtime as __sink_runtime;
    pub use messages::*;
    include!("../../sink-codegen/tests/golden/names.rs");

    mod messages {
        /// A message.
        #[derive(Clone, Copy, Debug, sink_runtime::Message)]
        #[message(serde)]
        pub struct Quote {
            /// Its price.
            pub price: u64,
        }
    }
}

/// Hostile text.
pub mod hostile {
    use ::sink_runtime as __sink_runtime;
    include!("../../sink-codegen/tests/golden/hostile.rs");
}

/// The same generator, run by the compiler.
pub mod inline {
    sink_runtime::sinks!("../sink-codegen/tests/golden/typed.toml");
}

/// The same in a module that has all the names, its messages beside it.
pub mod inline_names {
    use sink_runtime::Message;
    sink_runtime::sinks!("../sink-codegen/tests/golden/names.toml");

    #[derive(Debug, Message)]
    #[message(serde)]
    struct Quote(u64);

    #[derive(Debug)]
    struct Local;

    mod services {
        #[derive(Debug)]
        pub(super) struct Service;
    }

    /// The items of these names, and a sink.
    #[must_use]
    pub fn items() -> String {
        fn quote(_: &impl sink_runtime::MessageSink<Quote>) {}
        quote(Sinks::quote());
        format!("{:?}", (Local, services::Service, Quote(1)))
    }
}

#[test]
fn accessors_give_the_same_sink_each_time() {
    assert!(std::ptr::eq(
        seed::Sinks::broadcast_group(),
        seed::Sinks::broadcast_group()
    ));
    assert!(std::ptr::eq(
        typed::Sinks::r#match(),
        typed::Sinks::r#match()
    ));
    let _ = (hostile::Sinks::größe(), inline::Sinks::safe());
    let _ = (names::Sinks::tick(), by_glob::Sinks::vec());
    let _: Option<by_glob::services::vec> = None;
}

#[test]
fn an_alias_gives_way_to_what_has_its_name() {
    fn same<T: ?Sized>(_: &T, _: &T) {}
    fn quote(_: &impl sink_runtime::MessageSink<names::Quote>) {}
    quote(names::Sinks::quote());
    let text = names::items().and_then(Result::ok);
    assert!(text.is_some_and(|text| text.contains("Quote")));
    assert_eq!(inline_names::items(), "(Local, Service, Quote(1))");
    // Where nothing has its name, an alias is beside `Sinks`.
    let message: &'static by_glob::Message = by_glob::Sinks::message();
    let local: &'static by_glob::Local = by_glob::Sinks::local();
    same(message, by_glob::Sinks::message());
    same(local, by_glob::Sinks::local());
}

#[test]
fn guarantees_are_in_the_types() {
    fn at_least_once<S: sink_runtime::AtLeastOnce>(_: S) {}
    at_least_once(typed::Sinks::ticks());
    at_least_once(typed::Sinks::everywhere());
}

#[test]
fn sources_and_dynamic_sinks_type_check() {
    let _ = typed::Sources::ticks();
    let _ = typed::Sources::dynamic::<nested::Order>("late").map(|_| ());
    let _ = typed::Sinks::dynamic::<nested::Order>("late").map(|_| ());
}

#[test]
fn a_set_has_doubles_in_the_types_of_the_real_sinks() {
    fn adapter(_: &typed::Safe) {}
    let double = typed::Sinks::dynamic::<Tick>("audit");
    let builder = typed::SinkSet::builder();
    let set = match double {
        Ok(double) => builder.backup(double).build(),
        Err(_) => builder.build(),
    };
    adapter(set.safe());
    adapter(typed::Sinks::safe());
}

/// What a registry named here calls a message.
#[derive(Clone, Copy, Debug, sink_runtime::Message)]
#[message(serde)]
pub struct Quote {
    /// Its price.
    pub price: u64,
}

#[test]
fn sinks_may_stand_in_a_function() {
    sink_runtime::sinks!("../sink-codegen/tests/golden/names.toml");
    fn quote(_: &impl sink_runtime::MessageSink<Quote>) {}
    quote(Sinks::quote());
    let _: &'static Message = Sinks::message();
    let _: Option<&'static services::tick> = None;
    {
        sink_runtime::sinks!("../sink-codegen/tests/golden/typed.toml");
        let _: &'static Everywhere = Sinks::everywhere();
    }
}
