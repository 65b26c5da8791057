//! `#[derive(Message)]`: a name, a shape, its fingerprint, and an encoding through serde.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Ident, Result, Type, spanned::Spanned};

mod attributes;
mod contents;
mod places;
mod runtime;
mod serde_impls;
mod shape;
mod stub;

use attributes::Attributes;

/// The impls; or every mistake at its place, and a stub, so that they are the only errors.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let input = match syn::parse2::<DeriveInput>(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    let (attributes, unreadable) = Attributes::read(&input.attrs);
    if !attributes.says_runtime && runtime::is_missing() {
        // Everything else would be an error at each path of the runtime.
        return Error::new(input.ident.span(), NO_RUNTIME).into_compile_error();
    }
    match mistakes(&input, &attributes, unreadable) {
        None => emit(&input, &attributes),
        Some(mistakes) => {
            let mistakes = mistakes.into_compile_error();
            let stub = stub::emit(&input, &attributes);
            quote! { #mistakes #stub }
        }
    }
}

const NO_RUNTIME: &str = "this crate does not depend on `sink_runtime`, whose trait a message implements\n\
     help: add it to Cargo.toml, or say through which crate it is reached: `#[message(crate = \"shop::sink_runtime\")]`";

/// Why the type is refused: what was unreadable of its attributes, and what no message is.
fn mistakes(
    input: &DeriveInput,
    attributes: &Attributes,
    unreadable: Option<Error>,
) -> Option<Error> {
    let refused = [
        attributes::stand_on_the_type(&input.data),
        is_owned_data(input),
        has_no_parameters(input),
        does_not_contain_itself(input),
        match attributes.serde {
            true => borrows_nothing(input),
            false => Ok(()),
        },
        match attributes.serde {
            true => serde_impls::has_no_long_arrays(input),
            false => Ok(()),
        },
    ];
    let refused = refused.into_iter().filter_map(Result::err);
    unreadable
        .into_iter()
        .chain(refused)
        .reduce(|mut mistakes, mistake| {
            mistakes.combine(mistake);
            mistakes
        })
}

fn is_owned_data(input: &DeriveInput) -> Result<()> {
    match &input.data {
        Data::Union(data) => Err(Error::new(
            data.union_token.span(),
            "a union cannot be a message: nothing says which of its fields was sent\nhelp: make it an enum",
        )),
        _ => Ok(()),
    }
}

fn has_no_parameters(input: &DeriveInput) -> Result<()> {
    let Some(first) = input.generics.params.first() else {
        return Ok(());
    };
    let text = match first {
        syn::GenericParam::Lifetime(_) => {
            "a message owns its data: it outlives the call that sends it\n\
             help: hold `String` for `&str`, `Vec<u8>` for `&[u8]`"
        }
        _ => {
            "a message type has no parameters: its fingerprint names one shape, so that two processes can compare theirs\n\
             help: derive `Message` for a type of its own per payload, such as `struct TickBatch(Batch<Tick>)`"
        }
    };
    Err(Error::new(first.span(), text))
}

/// A field that borrows would have to outlive the bytes that it is read from; one that serde does not read may.
fn borrows_nothing(input: &DeriveInput) -> Result<()> {
    if input.generics.lifetimes().next().is_some() {
        // Refused already, at its lifetime.
        return Ok(());
    }
    let mut mistakes: Option<Error> = None;
    for ty in serde_impls::encoded(input) {
        let Some(reference) = shape::reference(&ty) else {
            continue;
        };
        let error = Error::new_spanned(
            reference,
            "a message owns its data: it outlives the bytes that it is read from\n\
             help: hold `String` for `&str`, `Vec<u8>` for `&[u8]`",
        );
        match &mut mistakes {
            Some(mistakes) => mistakes.combine(error),
            None => mistakes = Some(error),
        }
    }
    mistakes.map_or(Ok(()), Err)
}

/// A decoder of a recursive type recurses as deep as the sender says, which takes the stack of whoever receives.
fn does_not_contain_itself(input: &DeriveInput) -> Result<()> {
    let mut mistakes: Option<Error> = None;
    for ty in shape::field_types(&input.data) {
        let Some(place) = mention(ty, &input.ident) else {
            continue;
        };
        let text = format!(
            "message `{name}` contains itself: a sender could nest it until the receiver's stack is exhausted\n\
             help: send the parts as a list that refers to one another by index, such as `Vec<Part>` with `parent: Option<u32>`",
            name = input.ident
        );
        let error = Error::new(place.span(), text);
        match &mut mistakes {
            Some(mistakes) => mistakes.combine(error),
            None => mistakes = Some(error),
        }
    }
    mistakes.map_or(Ok(()), Err)
}

/// The place in `ty` that names the type being derived, wherever it is nested.
fn mention(ty: &Type, name: &Ident) -> Option<Ident> {
    find_ident(quote! { #ty }, &|ident, qualified| {
        (ident == name || ident == "Self") && !qualified
    })
}

fn find_ident(tokens: TokenStream, wanted: &dyn Fn(&Ident, bool) -> bool) -> Option<Ident> {
    let mut before: [Option<proc_macro2::TokenTree>; 3] = [None, None, None];
    for token in tokens {
        match &token {
            proc_macro2::TokenTree::Ident(ident) if wanted(ident, is_foreign_path(&before)) => {
                return Some(ident.clone());
            }
            proc_macro2::TokenTree::Group(group) => {
                if let Some(found) = find_ident(group.stream(), wanted) {
                    return Some(found);
                }
            }
            _ => {}
        }
        before.rotate_left(1);
        before[2] = Some(token);
    }
    None
}

/// Whether `other::` stands before: another module's type of the same name. `self::` and `crate::` may well be this one.
fn is_foreign_path(before: &[Option<proc_macro2::TokenTree>; 3]) -> bool {
    let is_colon = |token: &Option<proc_macro2::TokenTree>| matches!(token, Some(proc_macro2::TokenTree::Punct(punct)) if punct.as_char() == ':');
    is_colon(&before[1])
        && is_colon(&before[2])
        && !matches!(&before[0], Some(proc_macro2::TokenTree::Ident(ident)) if ident == "self")
}

fn emit(input: &DeriveInput, attributes: &Attributes) -> TokenStream {
    let runtime = &attributes.runtime;
    let ident = &input.ident;
    let name = shape::name(ident);
    let shape = shape::Shape::of(input);
    let contents = contents::emit(input, &shape.spelt(), runtime);
    let shape = contents::text(&shape, runtime);
    let accepts = &attributes.accepts;
    let serde = attributes.serde.then(|| serde_impls::emit(input, runtime));
    quote! {
        #[automatically_derived]
        impl #runtime::MessageType for #ident {
            const NAME: &'static str = #name;
            const SHAPE: &'static str = #shape;
            const FINGERPRINT: u64 = #runtime::__private::contents::fingerprint(Self::SHAPE);
            const ACCEPTS: &'static [u64] = &[#(#accepts),*];
            const NEEDS_NAMES: ::core::option::Option<&'static str> = #runtime::__private::contents::needs_names::<Self>();

            fn encode(
                &self,
                codec: #runtime::Codec,
                out: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), #runtime::EncodeError> {
                #runtime::__private::can_carry::<Self>(codec)?;
                <Self as #runtime::__private::SerdeMessage>::encode_serde(self, codec, out)
            }

            fn decode(
                codec: #runtime::Codec,
                payload: #runtime::Payload<'_>,
            ) -> ::core::result::Result<Self, #runtime::DecodeError> {
                <Self as #runtime::__private::SerdeMessage>::decode_serde(codec, payload)
            }
        }
        #contents
        #serde
    }
}

#[cfg(test)]
mod tests;
