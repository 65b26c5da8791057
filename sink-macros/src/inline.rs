//! `sinks!("services.toml")`: the build script's generator, run by the compiler.

use std::{env, path::PathBuf};

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use sink_codegen::{
    Carrier, Options, Registry, Whole, find_overlays, in_module, mistake_text, read, tokens,
    unreadable_text,
};
use syn::{
    LitStr, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
};

use crate::mistakes;

/// `$crate "services.toml", carrier = "sink_nats", profile = "staging"`
struct Input {
    /// The runtime, as `sinks!` knows it.
    runtime: Ident,
    registry: LitStr,
    options: Options,
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Input> {
        let runtime = input.call(Ident::parse_any)?;
        let registry: LitStr = input.parse()?;
        let mut options = Options {
            nested: true,
            ..Options::default()
        };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let key: syn::Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            let value: LitStr = input.parse()?;
            match key.to_string().as_str() {
                "carrier" => options.carriers.push(Carrier::of(&value.value())),
                "profile" => options.profile = Some(value.value()),
                other => {
                    let text = format!(
                        "unknown option `{other}`; there are `carrier = \"crate\"` and `profile = \"name\"`"
                    );
                    return Err(syn::Error::new(key.span(), text));
                }
            }
        }
        Ok(Input {
            runtime,
            registry,
            options,
        })
    }
}

/// Generates, and reports every mistake at the registry's name in the user's code.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Input>(input) {
        Ok(input) => generate(&input),
        Err(error) => error.into_compile_error(),
    }
}

fn generate(input: &Input) -> TokenStream {
    let Input {
        runtime,
        registry: literal,
        options,
    } = input;
    let root = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let path = root.join(literal.value());
    let registry = match read(&path, literal.value().as_ref()) {
        Ok(registry) => registry,
        Err(mistake) => return mistakes::alone(unreadable_text(&mistake), literal.span()),
    };
    let generated = tokens(&registry, options);
    let diagnostics = &generated.diagnostics;
    let errors: Vec<String> = diagnostics
        .errors()
        .map(|mistake| mistake_text(diagnostics, mistake))
        .chain(registry.chosen(options).err())
        .collect();
    let mistakes = mistakes::emit(&errors, literal.span());
    let warnings = diagnostics.warnings().map(|warning| {
        let text = format!(
            "{}:{}:{}: [{}] {}",
            warning.path, warning.line, warning.column, warning.code, warning.message
        );
        self::warning(&text, literal.span())
    });
    let tracked = tracked(&path, &registry);
    let tokens = &generated.tokens;
    let items = quote! {
        use #runtime as __sink_runtime;
        #mistakes
        #tracked
        #(#warnings)*
        #tokens
    };
    let handed_out = generated.handed_out.iter().map(String::as_str);
    in_module(&items, Whole::ByGlob, handed_out)
}

/// Makes the compiler read the files, so that a change of one expands the macro again.
fn tracked(path: &std::path::Path, registry: &Registry) -> TokenStream {
    let overlays = find_overlays(path)
        .into_iter()
        .map(|(_, overlay)| overlay)
        .take(registry.overlays.len());
    let files = std::iter::once(path.to_owned())
        .chain(overlays)
        .map(|file| file.to_string_lossy().into_owned());
    quote! { #(const _: &[u8] = ::core::include_bytes!(#files);)* }
}

/// A macro cannot warn in words of its own on the stable compiler, except as the note of something deprecated.
fn warning(text: &str, span: Span) -> TokenStream {
    quote_spanned! {span=>
        const _: () = {
            #[deprecated(note = #text)]
            const SERVICE: () = ();
            SERVICE
        };
    }
}
