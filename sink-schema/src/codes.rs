//! The stable code of every rule, and the name each warning has in `[lints]`. Numbers are never reused.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $(lint $lint:literal)?;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*
        /// Every code with the lint name of a warning.
        pub(crate) const ALL: &[(&str, Option<&str>)] = &[$(($code, codes!(@lint $($lint)?))),*];
    };
    (@lint $lint:literal) => { Some($lint) };
    (@lint) => { None };
}

codes! {
    // the file and its keys
    TOML_SYNTAX = "E0100";
    DUPLICATE_KEY = "E0101";
    UNKNOWN_KEY = "E0102";
    UNKNOWN_TYPE = "E0103";
    UNKNOWN_PATTERN = "E0104";
    UNKNOWN_SCHEME = "E0105";
    UNKNOWN_VALUE = "E0106";
    MISSING_KEY = "E0107";
    WRONG_TYPE = "E0108";
    OUT_OF_RANGE = "E0109";
    WRONG_KIND = "E0110";
    NO_EFFECT = "E0111";
    NOT_BUILT = "E0112";
    MISSING_FEATURE = "E0113";
    MISSING_CARRIER = "E0114";
    TOO_LARGE = "E0115";
    TOO_DEEP = "E0116";
    UNREADABLE = "E0117";
    // names
    BAD_NAME = "E0120";
    RESERVED_NAME = "E0121";
    NAME_COLLISION = "E0122";
    ALIAS_SHADOWS = "E0123";
    BAD_PATH = "E0124";
    INVISIBLE = "E0125";
    // composites
    UNKNOWN_TARGET = "E0130";
    SELF_TARGET = "E0131";
    CYCLE = "E0132";
    EMPTY_TARGETS = "E0133";
    REPEATED_TARGET = "E0134";
    TOO_MANY_TARGETS = "E0135";
    NESTED_TOO_DEEP = "E0136";
    MIXED_MESSAGES = "E0137";
    MIXED_WIRE = "E0138";
    LONE_MEMBER = "E0139";
    BAD_QUORUM = "E0140";
    OPTIONAL_NOT_TARGET = "E0141";
    ALL_OPTIONAL = "E0142";
    RUNTIME_TARGET = "E0143";
    // leaves
    BAD_ENDPOINT = "E0150";
    USERINFO = "E0151";
    LITERAL_SECRET = "E0152";
    SOCKET_PATH_TOO_LONG = "E0153";
    PLAINTEXT = "E0154";
    DUPLICATE_ENDPOINT = "E0155";
    BIND_MISMATCH = "E0156";
    NO_ACKS = "E0157";
    DROPS_UNDER_AT_LEAST_ONCE = "E0158";
    FRAME_OVER_BUFFER = "E0159";
    CODEC_MISMATCH = "E0160";
    FRAMING_MISMATCH = "E0161";
    LEVEL_OUT_OF_REACH = "E0162";
    SPILL_WITHOUT_DIRECTORY = "E0163";
    DELAYS_REVERSED = "E0164";
    // layers and lints
    OVERLAY_NEW_SERVICE = "E0170";
    COMPILED_IN = "E0171";
    UNKNOWN_VARIABLE = "E0172";
    UNKNOWN_LINT = "E0173";
    GUARANTEE_LOWERED = "E0174";
    // warnings
    SHARED_DIRECTORY = "W0201" lint "shared_directory";
    DIAMOND = "W0202" lint "diamond";
    SHORT_SEND_TIMEOUT = "W0203" lint "short_send_timeout";
    SINGLE_TARGET = "W0204" lint "single_target";
    EMPTY_REGISTRY = "W0205" lint "empty_registry";
    FORMER_NAME = "W0206" lint "former_name";
    ATTEMPTS_END_DELIVERY = "W0207" lint "attempts_end_delivery";
    UNUSED_DEFAULT = "W0209" lint "unused_default";
    SHARED_BIND = "W0210" lint "shared_bind";
}

/// The lint name of a warning's code.
pub(crate) fn lint_of(code: &str) -> Option<&'static str> {
    ALL.iter()
        .find(|(known, _)| *known == code)
        .and_then(|(_, lint)| *lint)
}

/// The names of all warnings.
pub(crate) fn lints() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter()
        .filter_map(|(code, lint)| lint.map(|lint| (*code, lint)))
}
