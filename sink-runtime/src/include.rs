//! The macros a user writes: `include_sinks!`, `sinks!` and `derive(Message)`. What they expand to is `sink-macros`' concern.

/// Includes the sinks that the build script generated from `services.toml`: [`Sinks`](#sinks), `Sources` and their types.
///
/// Stands once, in a library; bins, examples and tests use `my_lib::Sinks`. It may stand in a module of its own, or in a
/// function.
///
/// ```ignore
/// sink_runtime::include_sinks!();
/// ```
///
/// Every mistake in the registry is a compile error at this line, with the caret into `services.toml`. What is sound still
/// compiles, and a broken service causes no further error where it is used.
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! include_sinks {
    () => {
        $crate::__macros::__generated! { $crate }
    };
}

/// Generates the sinks of a registry on the spot, without a build script; for small programs and tests. It may stand in a
/// function.
///
/// The path is relative to `Cargo.toml`. Carriers of other crates follow it, and a profile,
/// which is then in force unless `SINKS_PROFILE` names another:
///
/// ```ignore
/// sink_runtime::sinks!("services.toml");
/// sink_runtime::sinks!("services.toml", carrier = "sink_nats", profile = "staging");
/// ```
#[cfg(feature = "macros")]
#[macro_export]
macro_rules! sinks {
    ($registry:literal $($options:tt)*) => {
        $crate::__macros::__inline! { $crate $registry $($options)* }
    };
}

/// Makes a type a message: gives it a name, a schema fingerprint and an encoding.
///
/// The type owns its data, has no generic parameters, does not contain itself, and implements serde's `Serialize` and
/// `Deserialize`, or lets this derive implement them:
///
/// ```ignore
/// #[derive(sink_runtime::Message)]
/// #[message(serde)]
/// struct Tick { price: u64, size: u32 }
/// ```
///
/// | attribute | meaning |
/// |---|---|
/// | `serde` | implements `Serialize` and `Deserialize` too; `#[serde(…)]` attributes are honoured |
/// | `accepts = ["0x…"]` | fingerprints of older shapes that this one can still decode: added `Option` fields under `json`; under `postcard`, which writes no names, only renamed fields and variants added at the end |
/// | `crate = "path"` | where the runtime is, if another crate exports it; a runtime renamed in `Cargo.toml` is found without |
///
/// "could not find `sink_runtime`" at the derive means that it did not find the runtime: say `#[message(crate = "path")]`.
#[cfg(feature = "macros")]
pub use sink_macros::Message;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub use sink_macros as __macros;

/// Generated code names the features that its registry needs.
macro_rules! needs {
    ($($feature:literal $needs:ident)*) => {
        $(
            needs!(@ $feature $needs $);
        )*
    };
    (@ $feature:literal $needs:ident $dollar:tt) => {
        #[cfg(feature = $feature)]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $needs {
            ($dollar text:literal) => {};
        }
        #[cfg(not(feature = $feature))]
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $needs {
            ($dollar text:literal) => {
                ::core::compile_error! { $dollar text }
            };
        }
    };
}

needs! {
    "json" __needs_json
    "postcard" __needs_postcard
    "tcp" __needs_tcp
    "unix" __needs_unix
}
