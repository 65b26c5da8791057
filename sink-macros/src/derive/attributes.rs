//! `#[message(crate = "…", accepts = ["0x…"], serde)]`.

use syn::{
    Attribute, Data, Error, Expr, ExprLit, Lit, LitStr, Path, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

/// What the attributes of a type say.
pub(super) struct Attributes {
    /// Where the runtime is.
    pub(super) runtime: Path,
    /// Whether they say so.
    pub(super) says_runtime: bool,
    /// Fingerprints of older shapes.
    pub(super) accepts: Vec<u64>,
    /// Whether to implement serde's traits too.
    pub(super) serde: bool,
}

impl Default for Attributes {
    fn default() -> Attributes {
        Attributes {
            runtime: super::runtime::path(),
            says_runtime: false,
            accepts: Vec::new(),
            serde: false,
        }
    }
}

impl Attributes {
    /// Reads all `#[message(…)]` attributes of a type: what could be read, and every mistake, each at its own place.
    pub(super) fn read(attributes: &[Attribute]) -> (Attributes, Option<Error>) {
        let mut read = Attributes::default();
        let mut seen: Vec<String> = Vec::new();
        let mut mistakes: Option<Error> = None;
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("message"))
        {
            let parsed = attribute.parse_nested_meta(|meta| {
                let key = meta
                    .path
                    .get_ident()
                    .map(|ident| ident.unraw().to_string())
                    .unwrap_or_default();
                let outcome = if seen.contains(&key) {
                    Err(meta.error(format!("`{key}` is written twice")))
                } else {
                    read.key(&key, &meta)
                };
                seen.push(key);
                outcome
            });
            if let Err(error) = parsed {
                match &mut mistakes {
                    Some(mistakes) => mistakes.combine(error),
                    None => mistakes = Some(error),
                }
            }
        }
        (read, mistakes)
    }

    fn key(&mut self, key: &str, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
        match key {
            "serde" => self.serde = true,
            "crate" => {
                self.says_runtime = true;
                let path: LitStr = meta.value()?.parse().map_err(|error| {
                    Error::new(
                        error.span(),
                        "`crate` is the path of the runtime in quotes: `crate = \"my_runtime\"`",
                    )
                })?;
                self.runtime = path.parse_with(Path::parse_mod_style).map_err(|_| {
                    Error::new(
                        path.span(),
                        format!(
                            "`{}` is not the path of a crate, such as \"my_runtime\"",
                            path.value()
                        ),
                    )
                })?;
            }
            "accepts" => {
                let list = list(meta.value()?).map_err(|error| {
                    Error::new(
                        error.span(),
                        "`accepts` is a list of fingerprints: `accepts = [\"0x0123456789abcdef\"]`",
                    )
                })?;
                self.accepts = list.iter().map(fingerprint).collect::<Result<_>>()?;
            }
            other => {
                let nearest = nearest(other);
                // The stub of a refused message then has serde's traits too, or each message that holds it was an error.
                self.serde |= nearest == Some("serde");
                return Err(meta.error(unknown(other, nearest)));
            }
        }
        Ok(())
    }
}

/// Refuses `#[message(…)]` on fields and variants, which have no keys of ours: what it asks for would not be done.
pub(super) fn stand_on_the_type(data: &Data) -> Result<()> {
    let mut mistakes: Option<Error> = None;
    let mut refuse = |what: &str, attributes: &[Attribute]| {
        let ours = attributes.iter();
        for attribute in ours.filter(|attribute| attribute.path().is_ident("message")) {
            let error = Error::new(attribute.span(), misplaced(what, attribute));
            match &mut mistakes {
                Some(mistakes) => mistakes.combine(error),
                None => mistakes = Some(error),
            }
        }
    };
    match data {
        Data::Struct(data) => {
            let fields = data.fields.iter();
            fields.for_each(|field| refuse("field", &field.attrs));
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                refuse("variant", &variant.attrs);
                let fields = variant.fields.iter();
                fields.for_each(|field| refuse("field", &field.attrs));
            }
        }
        Data::Union(_) => {}
    }
    mistakes.map_or(Ok(()), Err)
}

fn misplaced(what: &str, attribute: &Attribute) -> String {
    let list = attribute.meta.require_list();
    let keys = list.map_or_else(|_| String::new(), |list| list.tokens.to_string());
    let first = keys.split([' ', ',', '=', '(']).next().unwrap_or_default();
    let help = match first {
        "serde" | "accepts" | "crate" => {
            format!("write `#[message({first}…)]` above the type").replace("serde…", "serde")
        }
        "" => "remove it".to_owned(),
        _ => format!("serde encodes the {what}: write `#[serde({keys})]`"),
    };
    format!("`#[message(…)]` stands on a type, not on a {what}\nhelp: {help}")
}

fn nearest(key: &str) -> Option<&'static str> {
    match key {
        "accept" | "accepted" | "accepting" | "compatible" => Some("accepts"),
        "krate" | "path" | "runtime" => Some("crate"),
        "derive_serde" => Some("serde"),
        _ if key.to_ascii_lowercase().starts_with("ser") => Some("serde"),
        _ => None,
    }
}

fn unknown(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("unknown key `{key}`\nhelp: `{nearest}` is meant, perhaps"),
        None => format!(
            "unknown key `{key}`\nhelp: the keys are `serde`, `accepts = [\"0x…\"]` and `crate = \"…\"`"
        ),
    }
}

/// `[…, …]`, without the `full` syntax tree that `ExprArray` is part of.
fn list(value: ParseStream<'_>) -> Result<Punctuated<Expr, Token![,]>> {
    let content;
    syn::bracketed!(content in value);
    content.parse_terminated(Expr::parse, Token![,])
}

/// `"0x0123456789abcdef"`, as error messages print it.
fn fingerprint(element: &Expr) -> Result<u64> {
    let refused = || {
        Error::new(
            element.span(),
            "a fingerprint is 16 hexadecimal digits in quotes, as errors print it: \"0x0123456789abcdef\"",
        )
    };
    match element {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => {
            let digits = text.value();
            let digits = digits.strip_prefix("0x").ok_or_else(refused)?;
            if digits.len() != 16 {
                return Err(refused());
            }
            u64::from_str_radix(digits, 16).map_err(|_| refused())
        }
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => number.base10_parse().map_err(|_| refused()),
        _ => Err(refused()),
    }
}
