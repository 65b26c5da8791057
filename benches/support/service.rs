//! Services as the generator prints them: one static per service, a registry compiled in. Only the registry's text is made
//! at run time, because the sockets lie in a temporary directory.

use std::sync::OnceLock;

use sink_runtime::{
    Carrier, Codec, CompiledRegistry, DecodeError, EncodeError, MessageType, Payload,
};

use super::null;

/// A typed message of `N` bytes whose encoding is its bytes: the runtime's own cost, without a codec's.
#[derive(Clone, Copy, Debug)]
pub struct Block<const N: usize>(pub [u8; N]);

impl<const N: usize> MessageType for Block<N> {
    const NAME: &'static str = "Block";
    const SHAPE: &'static str = "Block";
    const FINGERPRINT: u64 = 1;

    #[inline]
    fn encode(&self, _: Codec, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(&self.0);
        Ok(())
    }

    #[inline]
    fn decode(_: Codec, payload: Payload<'_>) -> Result<Self, DecodeError> {
        let mut block = [0; N];
        block.copy_from_slice(&payload);
        Ok(Self(block))
    }
}

static REGISTRY: OnceLock<CompiledRegistry> = OnceLock::new();

/// Compiles the registry of this process in; called once, before any sink is used.
pub fn compile(text: String) {
    static CARRIERS: [&Carrier; 1] = [&null::CARRIER];
    let made = CompiledRegistry::new("benches/services.toml", text.leak(), &[], &CARRIERS);
    assert!(REGISTRY.set(made).is_ok(), "one registry per process");
}

/// The registry that [`compile`] made.
pub fn registry() -> &'static CompiledRegistry {
    REGISTRY.get().expect("compile() comes first")
}

/// One direct service of the registry's text. No heartbeats: readers count bytes.
pub fn entry(name: &str, endpoint: &str, message: Option<&str>, more: &str) -> String {
    let message = message.map_or(String::new(), |message| {
        format!("message = \"{message}\"\n")
    });
    // Within the process there are none.
    let heartbeat = match endpoint.starts_with("inproc://") {
        true => "",
        false => "heartbeat_ms = 3600000\n",
    };
    format!(
        "[services.{name}]\ntype = \"direct\"\nendpoint = \"{endpoint}\"\n{heartbeat}{message}{more}\n"
    )
}

/// The registry, as services name it.
#[derive(Debug)]
pub enum Registry {}

impl sink_runtime::Compiled for Registry {
    fn registry() -> &'static CompiledRegistry {
        registry()
    }
}

/// Declares a service as the generator prints it: a tag, a static, an accessor.
#[macro_export]
macro_rules! service {
    ($name:ident, $tag:ident, $message:ty) => {
        #[derive(Clone, Copy, Debug)]
        struct $tag;

        impl sink_runtime::Service for $tag {
            const NAME: &'static str = stringify!($name);
            type Registry = $crate::support::service::Registry;
        }

        impl sink_runtime::Leaves<$message> for $tag {
            #[inline]
            fn slots() -> &'static [sink_runtime::Slot<$message>] {
                static SLOTS: [sink_runtime::Slot<$message>; 1] = sink_runtime::Slot::table::<
                    $crate::support::service::Registry,
                    1,
                >([stringify!($name)]);
                &SLOTS
            }
        }

        impl sink_runtime::LeafService<$message> for $tag {
            type Leaves = Self;
            const PLACE: usize = 0;
        }

        #[inline]
        fn $name() -> &'static sink_runtime::Lazy<sink_runtime::Direct<$message, $tag>> {
            sink_runtime::Lazy::<sink_runtime::Direct<$message, $tag>>::SINK
        }
    };
}
